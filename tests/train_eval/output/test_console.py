"""Foreign text is shown as it is, but steers no terminal."""

import pytest

from train_eval.output import console


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat", "cat"),
        ("Kätzchen 猫 🐈\u200d⬛", "Kätzchen 猫 🐈\u200d⬛"),
        ("C:\\new [red]x[/red]", "C:\\new [red]x[/red]"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\rb\x9b2J", "a\\rb\\x9b2J"),
        ("\udcff.png", "\\udcff.png"),
        ("\u202egnp.exe\u2028", "\\u202egnp.exe\\u2028"),
    ],
)
def test_what_would_steer_a_terminal_is_written_as_an_escape(capsys, text, shown):
    assert console.printable(text) == shown
    assert console.foreign(text).plain == shown
    console.say(text)
    console.note(text)
    with pytest.raises(SystemExit):
        console.fail(text, 1)
    out, err = capsys.readouterr()
    assert out == f"{shown}\n"
    assert err == f"{shown}\ncnnarch: {shown}\n"


def test_only_what_is_said_whole_may_have_line_ends(capsys):
    console.say("one\ntwo")
    assert capsys.readouterr().out == "one\ntwo\n"
    assert console.one_line("one\ntwo") == "one\\ntwo"
    with pytest.raises(SystemExit):
        console.fail("one\ntwo", 1)
    assert capsys.readouterr().err == "cnnarch: one two\n"
