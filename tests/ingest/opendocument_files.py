"""OpenDocument spreadsheets for tests, written by hand in the form in which LibreOffice Calc saves them."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from html import escape

SPREADSHEET = "application/vnd.oasis.opendocument.spreadsheet"
_SPACES = " ".join(
    f'xmlns:{short}="{long}"'
    for short, long in {
        "office": "urn:oasis:names:tc:opendocument:xmlns:office:1.0",
        "table": "urn:oasis:names:tc:opendocument:xmlns:table:1.0",
        "text": "urn:oasis:names:tc:opendocument:xmlns:text:1.0",
        "style": "urn:oasis:names:tc:opendocument:xmlns:style:1.0",
        "calcext": "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0",
    }.items()
)
_STYLES = (
    '<style:style style:name="ta1" style:family="table"><style:table-properties table:display="true"/></style:style>'
    '<style:style style:name="ta2" style:family="table"><style:table-properties table:display="false"/></style:style>'
)
_LAST = '<table:table-cell table:number-columns-repeated="16000"/>'
# Behind the last row Calc says of the rest of its 1,048,576 rows that they are empty.
_REST = (
    '<table:table-row table:number-rows-repeated="1000000"><table:table-cell table:number-columns-repeated="16384"/>'
    "</table:table-row>"
)


class Percent(float):
    """A share that is shown as percent."""


class Money(float):
    """An amount that is shown with its currency."""


class Clock(str):
    """A time of day, like ``13:45:00``."""


class Error(str):
    """What a formula that failed shows, like ``#REF!``."""


def cell(value: object, *, formula: str = "", repeated: int = 1, note: str = "") -> str:
    """Write a cell as Calc does, with what is shown beside what it is worth."""
    shown = escape(str(value))
    if value is None:
        kind = ""
    elif isinstance(value, bool):
        kind, shown = f'boolean" office:boolean-value="{str(value).lower()}', "WAHR" if value else "FALSCH"
    elif isinstance(value, Percent):
        kind, shown = f'percentage" office:value="{float(value)!r}', f"{float(value):.0%}"
    elif isinstance(value, Money):
        kind, shown = f'currency" office:currency="EUR" office:value="{float(value)!r}', f"{float(value):,.2f} €"
    elif isinstance(value, int | float):
        kind, shown = f'float" office:value="{value!r}', f"{value:,.2f}"
    elif isinstance(value, date):
        kind, shown = f'date" office:date-value="{value.isoformat()}', f"{value:%d.%m.%y}"
    elif isinstance(value, Clock):
        hours, minutes, seconds = value.split(":")
        kind = f'time" office:time-value="PT{hours}H{minutes}M{seconds}S'
    elif isinstance(value, Error):
        kind = 'string" office:string-value="" calcext:value-type="error'
    else:
        kind = "string"
    many = f' table:number-columns-repeated="{repeated}"' if repeated > 1 else ""
    how = f' table:formula="of:={escape(formula)}"' if formula else ""
    if not kind:
        return f"<table:table-cell{many}/>"
    said = f"<office:annotation><text:p>{note}</text:p></office:annotation>" if note else ""
    lines = "".join(f"<text:p>{line}</text:p>" for line in shown.split("\n"))
    return f'<table:table-cell{how}{many} office:value-type="{kind}">{said}{lines}</table:table-cell>'


def row(*values: object, repeated: int = 1) -> str:
    """Write a row of values, or of cells that are written already."""
    many = f' table:number-rows-repeated="{repeated}"' if repeated > 1 else ""
    cells = "".join(v if isinstance(v, str) and v.startswith("<table:") else cell(v) for v in values)
    return f"<table:table-row{many}>{cells}{_LAST}</table:table-row>"


def sheet(name: str, *rows: str, hidden: bool = False) -> str:
    """Write a sheet of rows."""
    style = "ta2" if hidden else "ta1"
    return f'<table:table table:name="{name}" table:style-name="{style}">{"".join(rows)}{_REST}</table:table>'


def opendocument(*sheets: str, mimetype: str = SPREADSHEET, manifest: str = "", before: str = "") -> bytes:
    """Pack sheets as a file; ``before`` stands in front of the document's first tag."""
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}<office:document-content {_SPACES} office:version="1.3">'
        f"<office:automatic-styles>{_STYLES}</office:automatic-styles><office:body><office:spreadsheet>"
        f"{''.join(sheets)}</office:spreadsheet></office:body></office:document-content>"
    )
    entry = f'<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml">{manifest}'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", mimetype, zipfile.ZIP_STORED)
        archive.writestr("content.xml", content)
        archive.writestr(
            "META-INF/manifest.xml",
            '<?xml version="1.0"?><manifest:manifest '
            'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
            f"{entry}</manifest:file-entry></manifest:manifest>",
        )
    return buffer.getvalue()


def opendocument_content(data: bytes) -> str:
    """Return the XML of a file's sheets."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read("content.xml").decode()


def with_content(data: bytes, content: str) -> bytes:
    """Return a file with other XML of its sheets."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, content.encode() if name == "content.xml" else old.read(name))
    return buffer.getvalue()
