"""Tools for developers: the guards of `make lint`."""
