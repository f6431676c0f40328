# The virtual environment of the scripts. To be sourced:
#
#     . "$(dirname "$0")/_venv.sh"
#     ensure_venv test        # sets $venv, with vinyl[test] of this checkout in it
#
# VENV    the folder, default .venv in the checkout
# PYTHON  the interpreter to make it with, default the newest that fits
# DJANGO  the Django in it, such as 6.0, default the newest that fits; its environment
#         is .venv-django6.0 then

root=$(cd "$(dirname "$0")/.." && pwd)
venv=${VENV:-.venv${DJANGO:+-django$DJANGO}}
case $venv in
    /*) ;;
    *) venv=$root/$venv ;;
esac

# Whether $1 is Python 3.11 or newer and can make virtual environments. Running it is
# the only sure way to know: a name on the PATH may be a shim that leads nowhere.
fits() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
        >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" && echo "$PYTHON" && return
        echo "PYTHON=$PYTHON is not Python 3.11 or newer with the venv module." >&2
        return 1
    fi
    for name in python3.14 python3.13 python3.12 python3.11 python3; do
        fits "$name" && echo "$name" && return
    done
    echo "vinyl needs Python 3.11 or newer with the venv module, and found none." >&2
    echo "Install one (on Debian: apt install python3 python3-venv), or name it:" >&2
    echo "    PYTHON=/path/to/python3 $0" >&2
    return 1
}

# Make the environment if need be, and install this checkout with the extra $1. The
# stamp holds what was installed, so that only a changed pyproject.toml installs again.
ensure_venv() {
    if ! "$venv/bin/python" -c 'import pip' >/dev/null 2>&1; then
        python=$(find_python) || exit 1
        echo "Making ${venv#"$root"/} with $("$python" --version) ..." >&2
        rm -rf "$venv"
        "$python" -m venv "$venv"
    fi
    stamp=$venv/.vinyl-${1:-plain}
    wanted="$root ${DJANGO:-} $(cksum <"$root/pyproject.toml")"
    if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
        echo "Installing vinyl${1:+[$1]} into ${venv#"$root"/} ..." >&2
        "$venv/bin/python" -m pip install --quiet --no-input \
            --disable-pip-version-check --editable "$root${1:+[$1]}" \
            ${DJANGO:+"django~=$DJANGO.0"}
        echo "$wanted" >"$stamp"
    fi
}
