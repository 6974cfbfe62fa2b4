"""A page that shows a network at work, number by number: `minicnn explore`.

`Session` has the network, the image and the traced pass. `server` serves the page on this machine,
`export` writes a static one. The page itself is in `static/`, plain HTML, CSS and JavaScript.
"""

from .gallery import Gallery
from .session import Session

__all__ = ["Gallery", "Session"]
