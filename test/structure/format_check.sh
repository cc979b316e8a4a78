#!/usr/bin/env bash
# Every C++ file as clang-format lays it out, every Python file as black does.
set -uo pipefail
cd "$1"
tracked() {
  git ls-files --cached --others --exclude-standard -- "$@" | while read -r path; do
    if [ -f "$path" ]; then echo "$path"; fi
  done
}
python_files() {
  tracked '*.py'
  tracked tools | while read -r path; do
    if [ "$(head -n1 "$path")" = '#!/usr/bin/env python3' ]; then echo "$path"; fi
  done
}
bad=0
tracked '*.cc' '*.h' | xargs -r clang-format-19 --dry-run --Werror || bad=1
python_files | sort -u | xargs -r /usr/bin/black --quiet --line-length 100 --check --diff || bad=1
exit "$bad"
