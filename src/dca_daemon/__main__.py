"""`python -m dca_daemon` is `dca-daemon`."""

from dca_daemon.cli.main import main

if __name__ == "__main__":
    main()
