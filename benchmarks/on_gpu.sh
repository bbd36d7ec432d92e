#!/usr/bin/env bash
# Everything that a GPU is wanted for, in order of worth, in one run that may be cut off at any moment: each part prints
# as it goes and leaves its log in $OUT. A part that fails or hangs does not keep the next one from running.
#
#   benchmarks/on_gpu.sh                              # all of it
#   PARTS="steps train" benchmarks/on_gpu.sh          # some of it
#   TINY=1 DEVICE=cpu benchmarks/on_gpu.sh            # does it run at all? minutes on a CPU
#
# Environment: OUT (logs), SITE (a folder of unpacked wheels, put on the path), DATA_DIR (prepared data sets, among them
# modelnet40 unless SETS says otherwise), SETS, EPOCHS, BATCH, POINTS, STEPS, SEEDS, PATIENCE (seconds a part may take),
# TRAININGS (a file with a line of `spikecli train` arguments for each further training), TESTS, JOBS.
set -u
cd "$(dirname "$0")/.." || exit 1
PYTHON=${PYTHON:-python3}
export PYTHONPATH="$PWD${SITE:+:$SITE}${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
OUT=${OUT:-checkpoints/on-gpu}
TINY=${TINY:-}
DEVICE=${DEVICE:-auto}
PARTS=${PARTS:-steps train tests bench peers trainings}
EPOCHS=${EPOCHS:-${TINY:+1}}; EPOCHS=${EPOCHS:-60}
BATCH=${BATCH:-${TINY:+8}}; BATCH=${BATCH:-24}
POINTS=${POINTS:-${TINY:+32}}; POINTS=${POINTS:-1024}
STEPS=${STEPS:-${TINY:+2}}; STEPS=${STEPS:-200}
SEEDS=${SEEDS:-0}
SETS=${SETS:-${TINY:+shapes}}; SETS=${SETS:-modelnet40}
PATIENCE=${PATIENCE:-300}
TESTS=${TESTS:-${TINY:+tests/test_device_step.py}}; TESTS=${TESTS:-tests}
export SPIKECLI_DATA_DIR=${DATA_DIR:-$OUT/data}
mkdir -p "$OUT"

# part NAME COMMAND...: run it for PATIENCE seconds at most, show the end of what it says, note how it ended.
part() {
    local name=$1 begun=$SECONDS code
    shift
    echo "== $name: $*"
    timeout --kill-after=10 "$PATIENCE" "$@" >"$OUT/$name.log" 2>&1
    code=$?
    tail -n "${LINES_SHOWN:-25}" "$OUT/$name.log" | cut -c1-240
    echo "-- $name: code $code after $((SECONDS - begun)) s" | tee -a "$OUT/summary.txt"
}

spikecli() { "$PYTHON" -m spikecli "$@"; }
wanted() { [[ " $PARTS " == *" $1 "* ]]; }

"$PYTHON" -c 'import sys, torch; print(sys.version.split()[0], torch.__version__, torch.cuda.is_available() and torch.cuda.get_device_name())'

if wanted steps; then
    part steps "$PYTHON" benchmarks/bench_steps.py --device "$DEVICE" --batch-size "$BATCH" --points "$POINTS" --steps "$STEPS" ${TINY:+--no-bits}
fi

if wanted train; then
    for set in $SETS; do
        if [[ ! -e $SPIKECLI_DATA_DIR/$set/prepared.json && $set == shapes ]]; then
            spikecli data prepare shapes --points "$POINTS" --quiet >/dev/null
        fi
        for seed in $SEEDS; do
            run=$OUT/$set-seed$seed
            part "train-$set-$seed" "$PYTHON" -m spikecli train "$set" --points "$POINTS" --batch-size "$BATCH" --epochs "$EPOCHS" \
                --augment paper --label-smoothing 0.2 --val-fraction 0 --seed "$seed" --device "$DEVICE" --out "$run"
            part "eval-$set-$seed" "$PYTHON" -m spikecli eval "$run" --timesteps 1,2,3,4 --device "$DEVICE"
        done
    done
fi

if wanted tests; then
    parallel=${JOBS:+-n $JOBS}
    # shellcheck disable=SC2086
    part tests "$PYTHON" -m pytest -q -x --maxfail=40 $parallel $TESTS
fi

if wanted bench; then
    part bench "$PYTHON" -m spikecli bench --device "$DEVICE" --batch-size "$BATCH" --points "$POINTS" ${TINY:+--repeats 1 --timesteps 1}
    part bench-pooled "$PYTHON" -m spikecli bench --tnet pooled --device "$DEVICE" --batch-size "$BATCH" --points "$POINTS" \
        ${TINY:+--repeats 1 --timesteps 1}
fi

if wanted peers; then
    part peers "$PYTHON" benchmarks/bench_peers.py --device "$DEVICE" --batch-size "$BATCH" --points "$POINTS" ${TINY:+--repeats 1}
fi

if wanted trainings && [[ -n ${TRAININGS:-} ]]; then
    number=0
    while IFS= read -r line; do
        [[ -z $line || $line == \#* ]] && continue
        number=$((number + 1))
        run=$OUT/training-$number
        # shellcheck disable=SC2086
        part "training-$number" "$PYTHON" -m spikecli train $line --device "$DEVICE" --out "$run"
        part "training-$number-eval" "$PYTHON" -m spikecli eval "$run" --timesteps 1,2,3,4 --device "$DEVICE"
    done <"$TRAININGS"
fi

echo "== done after $SECONDS s"
cat "$OUT/summary.txt"
