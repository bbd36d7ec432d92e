"""ONNX: the graph of torch.export, checked with onnxruntime, with its facts as metadata."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spikecli.errors import SpikeError
from spikecli.export.graphs import Graph, example_kwargs, exported, graph_of, untraceable
from spikecli.export.metadata import facts
from spikecli.export.probes import probe
from spikecli.export.proof import compare
from spikecli.export.subject import Subject
from spikecli.export.wanted import Exported, Refusal, Wanted
from spikecli.files.atomic import atomic_path
from spikecli.files.extras import MissingExtra, needed
from spikecli.files.shipped import VERSION
from spikecli.models.tracing import traced

OPSET = 20
PACKAGES = ("onnx", "onnx_ir", "onnxscript", "onnxruntime")


class OnnxFormat:
    """A .onnx file for onnxruntime and its like."""

    work = "tracing"
    packages = PACKAGES

    def refusals(self, subject: Subject, wanted: Wanted) -> list[Refusal]:
        """Return what keeps the network from being traced: all else can be said."""
        return untraceable(subject, wanted)

    def write(self, subject: Subject, wanted: Wanted, path: Path) -> Exported:
        """Write the graph to `path` after onnxruntime gave the network's answers; raise SpikeError if it does not."""
        graph, samples = graph_of(subject, wanted), probe(subject, wanted)  # samples that do not fit are found first
        model = traced_model(graph)
        content = model.SerializeToString()
        checked = compare(graph, samples, session(content, graph).run, wanted, "onnxruntime")
        about = {**facts(subject, graph, wanted, checked), "spikecli.opset": str(OPSET)}
        for name, value in about.items():
            model.metadata_props.add(key=name, value=value)
        with atomic_path(path) as temporary:
            temporary.write_bytes(model.SerializeToString())
        return exported(path, "onnx", f"opset {OPSET}", graph, len(subject.classnames), checked)


ONNX = OnnxFormat()


def is_installed() -> bool:
    """Return whether the packages of the extra `export` that ONNX needs are installed."""
    try:
        return all(needed(package) for package in PACKAGES)
    except MissingExtra:
        return False


def traced_model(graph: Graph) -> Any:
    """Return the ONNX model of a graph, without the places in source files that an exporter notes."""
    from spikecli.export.onnx_neighbours import TRANSLATIONS
    from spikecli.export.onnx_neurons import opaque
    from spikecli.export.onnx_steps import write_out

    given = example_kwargs(graph)
    with traced(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module, neurons = opaque(graph.module)
        program = torch.onnx.export(
            module,
            given["args"],
            dynamo=True,
            dynamic_shapes=given["dynamic_shapes"],
            input_names=[each.name for each in graph.inputs],
            output_names=list(graph.outputs),
            opset_version=OPSET,
            custom_translation_table=TRANSLATIONS,
            optimize=True,
            verbose=False,
        )
    assert program is not None
    write_out(program.model, neurons)
    model = program.model_proto
    for part in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    for each in model.graph.initializer:
        del each.metadata_props[:]
    del model.functions[:]
    model.producer_name, model.producer_version = "spikecli", VERSION
    return model


class Session:
    """onnxruntime on one model, with tensors for arrays; raise SpikeError if it cannot open the model."""

    def __init__(self, content: bytes, names: Sequence[str], threads: int = 0) -> None:
        onnxruntime: Any = needed("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.names = names
        self.version = onnxruntime.__version__
        with self._in_words("open"):
            self.inner = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the outputs for the inputs, in their order; raise SpikeError if onnxruntime fails."""
        given = {name: tensor.numpy() for name, tensor in zip(self.names, tensors, strict=True)}
        with self._in_words("run"):
            return [torch.from_numpy(each) for each in self.inner.run(None, given)]

    @contextmanager
    def _in_words(self, verb: str) -> Iterator[None]:
        """Raise SpikeError for whatever onnxruntime raises: its exceptions share no class."""
        try:
            yield
        except Exception as error:
            reason = " ".join(str(error).split())
            raise SpikeError(
                f"onnxruntime {self.version} cannot {verb} the network's graph: {reason}; try another version of it"
            ) from error


def session(content: bytes, graph: Graph, threads: int = 0) -> Session:
    """Return onnxruntime on a graph's model; `threads` 0 lets it choose."""
    return Session(content, [each.name for each in graph.inputs], threads)
