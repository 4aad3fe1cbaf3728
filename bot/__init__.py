"""How Zhiwei talks: the conversation core, its words, and the adapters that carry it."""
