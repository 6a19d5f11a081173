"""What messages about unknown names say."""

from jnas.engine.messages import argument, nearest, on_command_line, setting


def test_suggests_the_nearest_name_and_lists_all() -> None:
    assert (
        nearest("nasw0t", ("synflow", "naswot"))
        == "Did you mean 'naswot'? Valid names: synflow, naswot."
    )


def test_suggests_nothing_when_nothing_is_near() -> None:
    assert nearest("zzz", ("synflow", "naswot")) == "Valid names: synflow, naswot."


def test_arguments_in_the_language_of_the_caller() -> None:
    given = (("out", None), ("checkpoint", None), ("max_params", None))
    given += (("resume", False), ("resume", "anyway"))
    python = ["out=", "checkpoint=", "max_params=", "resume=False", 'resume="anyway"']
    terminal = ["--out", "--out", "--max-params", "--no-resume", "--resume-anyway"]
    assert [argument(*pair) for pair in given] == python
    with on_command_line():
        assert [argument(*pair) for pair in given] == terminal
        assert setting("max_params") == "--max-params"
    assert (argument("out"), setting("max_params")) == ("out=", "max_params")
