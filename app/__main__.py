"""`python -m app` is the `relay` command."""

import gc


def main() -> None:
    """Run the command line."""
    # What is imported stays: looking for garbage among it, again and again as it grows, took a
    # tenth of the time until a command began.
    gc.disable()
    from app.cli.main import cli  # noqa: PLC0415  the CLI is the heaviest import

    gc.freeze()
    gc.enable()
    cli()


if __name__ == "__main__":
    main()
