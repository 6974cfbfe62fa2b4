"""A course in twelve steps, each a script that runs by itself; `minicnn course` lists them."""
