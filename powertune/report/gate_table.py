"""A gate result for a terminal: the verdict, a line for each function, and below it what was found."""

from powertune import text
from powertune.model.judgement import GateResult, Judgement
from powertune.report import Style, verdicts
from powertune.report.screen import Screen, new_table

_ROOM_FOR_FIGURES = 72
_COLORS = {"fails": "bold red", "noted": "yellow", "waived": "yellow", "unknown": "yellow", "passes": "green"}


def render(result: GateResult, style: Style) -> str:
    """Return the table, `style.width` columns wide at most where the terminal allows it."""
    screen = Screen(style)
    states = {verdicts.state(judgement) for judgement in result.judgements}
    verdict = "fails" if result.fails else "unknown" if states == {"unknown"} else "passes"
    screen.say(verdicts.headline(result), _COLORS[verdict] if states else "")
    if counts := verdicts.tally(result):
        screen.say(counts, "dim")
    if result.judgements:
        screen.say()
        _show_functions(screen, result, style)
    for judgement in verdicts.worst_first(result):
        if any(verdicts.state_of(check) != "passes" for check in judgement.checks):
            _show_checks(screen, judgement)
    for warning in result.warnings:
        screen.say()
        screen.say(f"Warning: {text.printable(warning.message, limit=400)}", "yellow")
        screen.say(text.printable(warning.hint, limit=400), indent=2)
    if result.next_command:
        screen.say()
        screen.say(f"Next: {text.printable(result.next_command, limit=400)}", "bold", hanging=2)
    return screen.drawn()


def _show_functions(screen: Screen, result: GateResult, style: Style) -> None:
    table = new_table()
    has_room = style.width >= _ROOM_FOR_FIGURES
    table.add_column("", no_wrap=True)
    table.add_column("Function", overflow="fold")
    table.add_column("Memory", justify="right", no_wrap=True)
    if has_room:
        table.add_column("Duration", justify="right", no_wrap=True)
        table.add_column("Cost", justify="right", no_wrap=True)
    table.add_column("Memory size is", overflow="fold")
    for judgement in verdicts.worst_first(result):
        state, found = verdicts.state(judgement), verdicts.change_of(judgement)
        change = found[2] if found else None
        figures = [text.percent(change.duration_pct), text.percent(change.cost_pct)] if change else ["", ""]
        table.add_row(
            screen.text(state, _COLORS[state]),
            screen.text(verdicts.name_of(judgement)),
            screen.text(verdicts.memory_of(judgement)),
            *(map(screen.text, figures) if has_room else ()),
            screen.text(judgement.outcome),
        )
    screen.show(table)


def _show_checks(screen: Screen, judgement: Judgement) -> None:
    screen.say()
    where = verdicts.place_of(judgement.place)
    screen.say(f"{verdicts.name_of(judgement)}{f'  {where}' if where else ''}", "bold")
    if change := verdicts.untold_change(judgement):
        screen.say(change, indent=2)
    for check in verdicts.checks_worst_first(judgement):
        state = verdicts.state_of(check)
        if state == "passes":
            continue
        said = f"{state}: {text.printable(check.rule, limit=60)}: {verdicts.message_of(check)}"
        screen.say(said, _COLORS[state], indent=2, hanging=4)
        for more in (verdicts.waiver_of(check), verdicts.hint_of(check)):
            if more:
                screen.say(more, indent=4)
    if basis := verdicts.basis_of(judgement):
        screen.say(f"Rests on: {basis}", "dim", indent=2)
