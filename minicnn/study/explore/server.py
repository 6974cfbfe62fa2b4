"""The page's server: bound to this machine, behind a random token.

Every address begins with the token, so another page of the browser, or another user of the
machine, cannot ask for anything. Requests by another host name than the machine's own are answered
with 400: a page elsewhere could make its own name point to this machine (DNS rebinding).
"""

import hmac
import secrets
import socket
from collections.abc import Callable, Iterable
from importlib import resources
from typing import Any

import numpy as np
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import get_host

from ...errors import MinicnnError
from ...kernels.thread_state import inheriting
from .arrays import maps_of
from .gallery import PAD, png
from .pages import Page, to_json
from .session import Session
from .training import Training
from .views import Views

HOST = "127.0.0.1"
LARGEST_FILE = 64 << 20  # bytes of an image that is dropped on the page
THUMBNAIL = 64  # pixels
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class OwnRequest(Request):
    """A request to this machine by one of its own names."""

    trusted_hosts = [HOST, "localhost"]
    max_content_length = LARGEST_FILE


class App:
    """The WSGI application. token: the first part of every path."""

    def __init__(self, session: Session, token: str | None = None):
        self.session, self.views = session, Views(session)
        self.training = Training(session)
        self.token = token or secrets.token_urlsafe(24)
        get: dict[str, Callable[..., Response]] = {
            "/": lambda request: static("index.html"),
            "/static/<name>": lambda request, name: static(name),
            "/state": lambda request: as_json(session.state()),
            "/array": self._array,
            "/explain": self._explain,
            "/image.png": lambda request: as_png(session.picture.pixels),
            "/thumbnail/<split>/<int:index>.png": self._thumbnail,
            "/gallery": self._gallery,
            "/look": self._look,
            "/training": self._progress,
        }
        post = {
            "/choose": self._choose,
            "/draw": self._draw,
            "/file": self._file,
            "/label": self._label,
            "/step": lambda request: as_json(session.step(_number(request, "lr"))),
            "/restore": self._restore,
            "/training": self._train,
        }
        self.urls = Map(
            [Rule(f"/<token>{p}", endpoint=f, methods=["GET"]) for p, f in get.items()]
            + [Rule(f"/<token>{p}", endpoint=f, methods=["POST"]) for p, f in post.items()]
        )

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """The WSGI interface."""
        request = OwnRequest(environ)
        try:
            get_host(environ, request.trusted_hosts)  # raises for any other name
            response = self._respond(request)
        except HTTPException as error:
            response = as_json({"error": error.description}, error.code or 500)
        response.headers.update(HEADERS)
        return response(environ, start_response)

    def _respond(self, request: Request) -> Response:
        token = request.path.split("/")[1]
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return as_json({"error": "open the address that minicnn explore printed"}, 403)
        endpoint, values = self.urls.bind_to_environ(request.environ).match()
        arguments = {name: value for name, value in values.items() if name != "token"}
        try:
            return endpoint(request, **arguments)
        except (MinicnnError, ValueError) as error:
            return as_json({"error": str(error)}, 400)

    # --- what the page reads ---

    def _array(self, request: Request) -> Response:
        """A part of an array as float32: `count` maps from `first` on, or all of it."""
        first, count = _integer(request, "first", 0), _integer(request, "count", 1 << 30)
        what = _text(request, "what")
        array = self.session.array(_text(request, "path"), what)
        return as_array(*maps_of(array, what, first, count))

    def _explain(self, request: Request) -> Response:
        text = request.args.get("index", "")
        try:
            index = tuple(int(part) for part in text.split(",") if part)
        except ValueError:
            raise ValueError(f"index={text}: expected whole numbers such as 0,3,5,2") from None
        view = Page(
            *(_integer(request, "offset", 0), _integer(request, "limit", 200)),
            request.args.get("order") == "largest",
            _integer(request, "map", -1),
        )
        found = self.session.explain(_text(request, "path"), _text(request, "what"), index, view)
        return as_json(found)

    def _thumbnail(self, request: Request, split: str, index: int) -> Response:
        return as_png(self.session.gallery.image(split, index)[0], THUMBNAIL)

    def _gallery(self, request: Request) -> Response:
        """A page of images of one split: those that the network got wrong, or all."""
        split, first = _text(request, "split"), _integer(request, "first", 0)
        if request.args.get("wrong"):
            return as_json(self.views.mistakes(split))
        return as_json(self.views.images(split, first, _integer(request, "count", 24)))

    def _look(self, request: Request) -> Response:
        map_, about = self.views.look(
            _text(request, "method"),
            _integer(request, "class", -1),
            request.args.get("layer", ""),
            _integer(request, "unit", 0),
        )
        return as_array(map_, about)

    def _progress(self, request: Request) -> Response:
        return as_json(self.training.progress(_integer(request, "since", 0)))

    # --- what the page changes ---

    def _choose(self, request: Request) -> Response:
        self.session.choose(_text(request, "split"), _integer(request, "index", 0))
        return as_json(self.session.state())

    def _draw(self, request: Request) -> Response:
        sent = request.get_data()
        if len(sent) != PAD * PAD:
            raise ValueError(f"a drawing of {len(sent)} bytes: expected {PAD} x {PAD} gray levels")
        self.session.draw(np.frombuffer(sent, np.uint8).reshape(PAD, PAD))
        return as_json(self.session.state())

    def _file(self, request: Request) -> Response:
        self.session.open(request.args.get("name", "the file"), request.get_data())
        return as_json(self.session.state())

    def _label(self, request: Request) -> Response:
        label = _integer(request, "label", -1)
        self.session.relabel(None if label < 0 else label)
        return as_json(self.session.state())

    def _restore(self, request: Request) -> Response:
        self.training.pause()
        self.training.forget()
        self.session.restore()
        return as_json(self.session.state())

    def _train(self, request: Request) -> Response:
        if request.args.get("action") == "start":
            self.training.start(
                _number(request, "lr"),
                _integer(request, "batch", 32),
                _number(request, "momentum"),
                _number(request, "speed"),
            )
        else:
            self.training.pause()
        return as_json(self.training.progress(0))


def static(name: str) -> Response:
    """A file of the page."""
    folder = resources.files("minicnn.study.explore") / "static"
    kind = name.rpartition(".")[2]
    if kind not in TYPES or name not in {file.name for file in folder.iterdir()}:
        return as_json({"error": f"{name}: there is no such file"}, 404)
    return Response((folder / name).read_bytes(), content_type=f"{TYPES[kind]}; charset=utf-8")


def as_json(value: Any, status: int = 200) -> Response:
    """Plain values as a response."""
    return Response(to_json(value), status, content_type="application/json")


def as_png(pixels: np.ndarray, side: int | None = None) -> Response:
    """Pixels as a response."""
    return Response(png(pixels, side), content_type="image/png")


def as_array(array: np.ndarray, about: dict[str, Any]) -> Response:
    """An array as little-endian float32; what is to be known about it is in a header."""
    found = Response(
        np.ascontiguousarray(array, "<f4").tobytes(), content_type="application/octet-stream"
    )
    found.headers["X-Array"] = to_json({**about, "sent": list(array.shape)})
    return found


def _text(request: Request, name: str) -> str:
    if name not in request.args:
        raise ValueError(f"{name} is missing")
    return request.args[name]


def _integer(request: Request, name: str, default: int) -> int:
    text = request.args.get(name, str(default))
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit():
        raise ValueError(f"{name}={text}: expected a whole number")
    return int(text)


def _number(request: Request, name: str) -> float:
    try:
        return float(_text(request, name))
    except ValueError:
        raise ValueError(f"{name}={request.args.get(name)}: expected a number") from None


class Quiet(WSGIRequestHandler):
    """Logs no requests: the terminal shows the address."""

    def log_request(self, *arguments: Any) -> None:
        """Nothing."""


def make(app: App, port: int = 0) -> BaseWSGIServer:
    """A server for the application on this machine; port 0 takes a free one.

    Raises OSError that names the port if it is taken.
    """
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
    except OSError as error:
        raise OSError(f"--port {port}: {error.strerror}; --port 0 takes a free one") from None
    answer = inheriting(app)  # each request has a thread
    return make_server(HOST, port, answer, threaded=True, request_handler=Quiet)


def address(server: BaseWSGIServer, app: App) -> str:
    """The page's address, with the token."""
    return f"http://{HOST}:{server.port}/{app.token}/"
