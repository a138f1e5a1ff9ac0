"""`python -m app` is the `relay` command."""


def main() -> None:
    """Run the command line."""
    from app.cli.main import cli  # noqa: PLC0415  the CLI is the heaviest import

    cli()


if __name__ == "__main__":
    main()
