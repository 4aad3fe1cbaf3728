"""General knowledge about food as plain files; `data.food_knowledge` reads and checks them."""
