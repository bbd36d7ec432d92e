#!/usr/bin/env bash
# Say what `make demo` reached, and what to try next: after_demo.sh BIN RUN, where RUN/scores.csv is the CSV of `eval`.
set -euo pipefail
bin=$1 run=$2
echo
awk -F, '
    NR == 1 { for (column = 1; column <= NF; column++) at[$column] = column; next }
    { last = sprintf("%.1f %% at T = %d", 100 * $at["instance_accuracy"], $at["timesteps"]); if (NR == 2) first = last }
    END { printf "Reached: a network trained with one time step names %s of 300 unseen shapes, %s.\n", first, last }
' "$run/scores.csv"
cat <<EOF
Kept: the network in $run, its picture of a chair in demo.png.
Next: source $bin/activate                                      then the command is just \`spikecli\`
      spikecli predict reference YOUR.ply                       or .off .obj .stl .pcd .npy …: ten kinds of furniture
      spikecli data prepare mine --from FOLDER                  a folder a class; then: spikecli train mine
      spikecli view examples/turning_chair.bin --out film.gif   a recording of an event camera
EOF
