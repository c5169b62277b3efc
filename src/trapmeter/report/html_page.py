"""What all HTML pages share: the Jinja environment, printable text and pictures as JPEG."""

from __future__ import annotations

import base64
import re
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from jinja2 import Environment, Template
    from PIL.Image import Image

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")


def page_environment(folder: Traversable | None = None) -> Environment:
    """A Jinja environment that escapes every value, makes it printable, and refuses undefined names.

    folder: the folder of the templates; None is the folder of the reports.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    templates = folder or files("trapmeter.report")
    return Environment(
        loader=FunctionLoader(lambda name: templates.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable_value,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page_template(name: str) -> Template:
    """A template of the reports, with their style sheet as `css`."""
    environment = page_environment()
    environment.globals.update(css=safe(files("trapmeter.report").joinpath("report.css").read_text("utf-8")))
    return environment.get_template(name)


def safe(html: str) -> str:
    """Marks trapmeter's own HTML, style sheet, script or SVG, which contains no text from outside, as not to be escaped."""
    from markupsafe import Markup

    return Markup(html)  # noqa: S704  see the docstring


def printable(text: str) -> str:
    r"""The text as valid UTF-8 and HTML; control characters and invalid bytes of file names become \x or \u codes."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _printable_value(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def jpeg_bytes(image: Image, quality: int) -> bytes:
    """A picture as a JPEG file. quality: 1 to 95, as Pillow counts it."""
    file = BytesIO()
    image.save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue()


def jpeg_data_uri(image: Image, quality: int) -> str:
    """A picture as a JPEG data URI, which embeds it in a page."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg_bytes(image, quality)).decode('ascii')}"
