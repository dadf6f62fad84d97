"""HTML put together from elements: text is escaped unless it is an element already, so no page can forget to."""

from __future__ import annotations

from html import escape
from typing import Final

EMPTY: Final = frozenset({"link", "meta", "br", "hr", "img"})
"""Elements of HTML that have no content and no end."""
SHAPES: Final = frozenset({"rect", "line", "path", "circle"})
"""Elements of SVG without content; unlike those of HTML they have to be ended."""


class Markup(str):
    """Text that is HTML, and needs no escaping."""

    __slots__ = ()


Content = str | None
"""What may stand in an element: `Markup` as it is, other text escaped, None as nothing."""


def join(*parts: Content) -> Markup:
    """Return the parts one after the other.

    >>> join("1 < 2", element("br"), None)
    '1 &lt; 2<br>'
    """
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts if part is not None))


def element(tag: str, /, *content: Content, **attributes: str | int | float | bool | None) -> Markup:
    """Return an element.

    An attribute's name may end in ``_`` where it is a word of Python, and has ``-`` for ``_`` within; one that is None
    or False is left out, one that is True has no value.

    >>> element("p", "Tom & Co", class_="lead", hidden=False)
    '<p class="lead">Tom &amp; Co</p>'
    >>> element("td", element("b", "12"), data_label='on "hand"')
    '<td data-label="on &quot;hand&quot;"><b>12</b></td>'
    """
    told = "".join(
        f" {key}" if value is True else f' {key}="{escape(str(value))}"'
        for key, value in ((raw.removesuffix("_").replace("_", "-"), value) for raw, value in attributes.items())
        if value is not None and value is not False
    )
    if tag in SHAPES:
        return Markup(f"<{tag}{told}/>")
    return Markup(f"<{tag}{told}>" if tag in EMPTY else f"<{tag}{told}>{join(*content)}</{tag}>")
