# Sourced by run and test, from the top of the checkout: sets `python` to a Python 3.11 or later, or explains.
# STARTLINE_PYTHON names one outright.
python=
for candidate in "${STARTLINE_PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
    if "$candidate" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "startline: no Python 3.11 or later found (looked for python3, python3.11 to python3.14)." >&2
    echo "    Debian 12, Ubuntu 24.04 or later:  apt-get install python3 python3-venv" >&2
    echo "    macOS:                             brew install python" >&2
    echo "    or say where it is:                STARTLINE_PYTHON=/path/to/python3 sh $0" >&2
    exit 1
fi
