"""The documents, which `minicnn docs` prints."""
