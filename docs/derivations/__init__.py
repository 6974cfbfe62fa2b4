"""Where each gradient comes from; `minicnn docs derivations` prints it."""
