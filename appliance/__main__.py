"""`python -m appliance` is the command `startline`, for checkouts in which the command is not installed."""

from appliance.cli.main import main

if __name__ == "__main__":
    main()
