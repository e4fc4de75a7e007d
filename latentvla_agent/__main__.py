"""`python -m latentvla_agent`, the same as the command `latentvla`; Lightning starts its other processes so."""

from latentvla_agent.cli import main

if __name__ == "__main__":
    main()
