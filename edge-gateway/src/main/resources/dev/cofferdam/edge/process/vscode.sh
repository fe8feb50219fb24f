# Runs a template's code-server ($0): SETTINGS PORT DIRECTORY EXTENSION...
# What it would read of itself is not taken: a configuration, and a password or port of the environment.
settings=$1 port=$2 directory=$3
shift 3
if [ -n "$settings" ]; then
  user=${XDG_DATA_HOME:-${HOME:-/root}/.local/share}/code-server/User
  mkdir -p "$user" && printf %s "$settings" >"$user/settings.json" || exit
fi
for extension; do
  "$0" --config=/dev/null --install-extension="$extension" || exit
done
exec "$0" --config=/dev/null --auth=none --host=127.0.0.1 --port="$port" --disable-telemetry --disable-update-check "$directory"
