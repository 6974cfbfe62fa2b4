"""The pages of the documentation's site that are made from the sources: `make docs`.

`links.py` rewrites links that leave docs/, `operations.py` makes a page per operation, `api.py` the
API reference, and `hooks.py` gives them to MkDocs. Only `hooks.py` imports MkDocs.
"""
