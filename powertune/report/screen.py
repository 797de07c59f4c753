"""A screen to draw on: sentences that wrap, tables, colour and characters as far as the terminal takes them."""

import io
import re
import textwrap

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from powertune import text
from powertune.report import Style

CHOSEN_COLOR = "bold green"
_IN_ASCII = str.maketrans({"→": "->", "±": "+-"})
_UNIT = re.compile(r"(?<=\d) (?=%|(?:MB|ms|s|times)\b)")


class Screen:
    """Collects what is drawn, `style.width` columns wide at most where what is to be shown allows it."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._out = io.StringIO()
        self._console = Console(
            file=self._out,
            width=style.width,
            force_terminal=style.color,
            color_system="standard" if style.color else None,
            no_color=not style.color,
            legacy_windows=False,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def say(self, line: str = "", color: str = "", *, indent: int = 0, hanging: int | None = None) -> None:
        """Draw a sentence in lines no wider than the screen, numbers kept together with their units.

        All of it stands `indent` columns from the edge, its further lines `hanging` columns where that is given.
        """
        bound = _UNIT.sub("\N{NO-BREAK SPACE}", self._shown(line))
        wrapped = textwrap.fill(
            bound,
            self._style.width,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent if hanging is None else hanging),
            break_on_hyphens=False,
        )
        self._console.print(Text(wrapped.replace("\N{NO-BREAK SPACE}", " "), color))

    def text(self, words: str, color: str = "") -> Text:
        """Return words for a cell of a table."""
        return Text(self._shown(words), color)

    def _shown(self, words: str) -> str:
        """Return words in characters that the terminal has, before they are laid out, as it may take more of these."""
        if not self._style.ascii_only:
            return words
        return words.translate(_IN_ASCII).encode("ascii", "backslashreplace").decode("ascii")

    def show(self, drawing: RenderableType) -> None:
        """Draw what is no sentence."""
        self._console.print(drawing)

    def drawn(self) -> str:
        """Return all that was drawn, ending in a newline, with nothing in it that the log of a CI job would obey."""
        drawn = "\n".join(line.rstrip() for line in self._out.getvalue().splitlines())
        if self._style.ascii_only:
            drawn = drawn.replace("─", "-").encode("ascii", "backslashreplace").decode("ascii")
        return text.inert(drawn) + "\n"


def new_table() -> Table:
    """Return an empty table in the look that all tables share."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
