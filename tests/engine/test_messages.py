"""What messages about unknown names say."""

from jnas.engine.messages import nearest


def test_suggests_the_nearest_name_and_lists_all() -> None:
    assert (
        nearest("nasw0t", ("synflow", "naswot"))
        == "Did you mean 'naswot'? Valid names: synflow, naswot."
    )


def test_suggests_nothing_when_nothing_is_near() -> None:
    assert nearest("zzz", ("synflow", "naswot")) == "Valid names: synflow, naswot."
