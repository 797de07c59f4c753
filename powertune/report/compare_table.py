"""A comparison of runs for a terminal: a table for each function, differences that are none in plain type."""

from rich.text import Text

from powertune import text
from powertune.model.run_comparison import Delta, FunctionComparison, RunsComparison, SizeComparison
from powertune.report import Style, differences
from powertune.report.screen import Screen, new_table

_ROOM_FOR_COSTS = 100


def render(comparison: RunsComparison, style: Style) -> str:
    """Return the tables, `style.width` columns wide at most where the terminal allows it."""
    screen = Screen(style)
    for number, compared in enumerate(comparison.functions):
        if number:
            screen.say()
        _show_function(screen, compared, style)
    if comparison.means or comparison.only_before or comparison.only_after:
        screen.say()
    for at, mean in comparison.means.items():
        screen.say(differences.sentence_of_mean(at, mean), "bold")
    for where, names in (("A", comparison.only_before), ("B", comparison.only_after)):
        if names:
            listed = ", ".join(text.printable(name, limit=80) for name in names)
            screen.say(f"Only in {where}: {listed}", "dim")
    if comparison.functions:
        screen.say("± is half the 95 % interval of the change, for all comparisons at once", "dim")
    else:
        screen.say("A and B have no function in common", "bold red")
    return screen.drawn()


def _show_function(screen: Screen, compared: FunctionComparison, style: Style) -> None:
    screen.say(differences.name_of(compared), "bold")
    for line in differences.about_runs(compared):
        screen.say(line, "dim")
    has_room = style.width >= _ROOM_FOR_COSTS
    table = new_table()
    for head in ("Memory", "A", "B"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("Time of B", overflow="fold")
    if has_room:
        table.add_column("A per 1M", justify="right", no_wrap=True)
        table.add_column("B per 1M", justify="right", no_wrap=True)
    table.add_column("Cost of B", overflow="fold")
    for size in compared.sizes:
        table.add_row(*_cells(screen, size, has_room=has_room))
    if compared.sizes:
        screen.show(table)
    for at, size in compared.at.items():
        screen.say(differences.sentence_at(at, size))
    for note in compared.notes:
        screen.say(text.printable(note), "dim")


def _cells(screen: Screen, size: SizeComparison, *, has_room: bool) -> list[Text]:
    def told(words: str, delta: Delta | None) -> Text:
        return screen.text(words, "bold" if delta and delta.is_significant else "")

    return [
        screen.text(differences.memory_of(size)),
        *map(screen.text, differences.durations_of(size)),
        told(differences.duration_verdict(size), size.duration_ms),
        *(map(screen.text, differences.costs_of(size)) if has_room else ()),
        told(differences.cost_verdict(size), size.cost_per_million),
    ]
