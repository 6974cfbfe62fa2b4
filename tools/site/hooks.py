"""What MkDocs calls: pages from the sources are added, and links of the repository rewritten."""

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.site import api, links, operations

SHIM = "https://unpkg.com/iframe-worker/shim"  # the offline plugin's, for search in file://
LOADED = re.compile(
    r'<(?:script|img|iframe|source)\b[^>]*\bsrc="(?:https?:)?//[^"]*"'
    r'|<link\b[^>]*\brel="(?:stylesheet|preconnect|preload)"[^>]*\bhref="(?:https?:)?//[^"]*"'
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the generated pages into the menu."""
    generated: dict[str, list[Any]] = {
        "Operations": ["operations/index.md"],
        "API": ["api/index.md", *({t: api.page_place(m)} for m, t in api.PAGES.items())],
    }
    sections: dict[str, list[str]] = {}
    for name, section in operations.operations().items():
        sections.setdefault(section, []).append(operations.page_place(name))
    generated["Operations"] += [{section: names} for section, names in sections.items()]
    assert config.nav is not None
    for entry in config.nav:
        for title in generated.keys() & entry.keys():
            entry[title] = generated[title]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the sources, and the files that they link."""
    pages = links.pages()
    for path, place in pages.items():
        if path in links.OUTSIDE:
            _add(files, config, place, (links.ROOT / path).read_text(encoding="utf-8"))
    for name in operations.operations():
        _add(files, config, operations.page_place(name), operations.page(name))
    _add(files, config, "operations/index.md", operations.index())
    for module in api.PAGES:
        _add(files, config, api.page_place(module), api.page(module))
    _add(files, config, "api/index.md", api.index())
    for path in sorted({*links.linked_sources(list(pages)), *operations.sources()}):
        _add(files, config, links.place(path), links.source_page(path))
    for path, place in links.linked_pictures(list(pages)).items():
        files.append(File.generated(config, place, abs_src_path=str(links.ROOT / path)))
    return files


def _add(files: Files, config: MkDocsConfig, place: str, text: str) -> None:
    files.append(File.generated(config, place, content=text))


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Take the script of the search from this site."""
    return _offline(output, page.file.src_uri)


def on_post_template(output: str, template_name: str, config: MkDocsConfig) -> str:
    """The same for the page that a server shows in place of a missing one."""
    return _offline(output, template_name)


def _offline(output: str, here: str) -> str:
    """A page that loads nothing from a network. Raises ValueError if there is more than SHIM."""
    output = output.replace(SHIM, links.relative(here, "vendor/iframe-worker.js"))
    loaded = LOADED.search(output)
    if loaded:
        raise ValueError(f"{here}: it loads {loaded[0]}; expected a page that needs no network")
    return output


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page of the repository."""
    here = page.file.src_uri
    origins = {place: path for path, place in links.pages().items()}
    if here not in origins:
        return markdown
    return links.rewritten(markdown, origins[here], here)
