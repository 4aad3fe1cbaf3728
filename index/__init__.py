"""How Zhiwei finds: embeddings, the vector index, the lexical index, their fusion."""
