"""`python -m rixs_pipeline` is `rixs-pipeline`."""

from rixs_pipeline import interrupt


def main() -> None:
    """Run the command line; an interrupt while it is loaded ends it without noise."""
    interrupt.install()
    try:
        from rixs_pipeline.cli import main as run_command_line
    except KeyboardInterrupt:
        raise SystemExit(interrupt.EXIT_CODE) from None
    run_command_line()


if __name__ == "__main__":
    main()
