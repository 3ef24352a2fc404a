"""Redis and arq: what is due is delivered here, and nothing is decided."""
