"""The time steps of layers of neurons as ONNX nodes, in the place of the one operation that the exporter saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.fx import Graph, Node

DOMAIN, NAME = "spikecli", "Neurons"  # of that operation
COMPARED = {"ge": "GreaterOrEqual", "gt": "Greater", "le": "LessOrEqual", "lt": "Less"}
PAIRED = {
    "add": "Add",
    "sub": "Sub",
    "rsub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "minimum": "Min",
    "maximum": "Max",
} | COMPARED
ALONE = {"abs": "Abs", "ceil": "Ceil", "floor": "Floor", "round": "Round", "neg": "Neg", "sigmoid": "Sigmoid"}
SAME = ("clone", "detach", "alias")


class Writer:
    """Makes nodes of a model, and constants that layers share."""

    def __init__(self, graph: Any) -> None:
        import onnx_ir

        self.ir: Any = onnx_ir
        self.graph = graph
        self.nodes: list[Any] = []
        self.numbers: dict[Any, Any] = {}

    def node(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Return the output of a new node, or its outputs."""
        made = self.ir.node(kind, inputs, attributes, num_outputs=outputs)
        self.nodes.append(made)
        return made.outputs[0] if outputs == 1 else made.outputs

    def value(self, given: Any) -> Any:
        """Return a value as it is, and a number or a list of whole numbers as a constant of the model."""
        if not isinstance(given, int | float | tuple):
            return given
        if given not in self.numbers:
            dtype = torch.int64 if isinstance(given, tuple) else torch.float32
            name = f"number_{len(self.numbers)}"
            tensor = self.ir.tensor(torch.tensor(given, dtype=dtype).numpy(), name=name)
            self.numbers[given] = self.ir.Value(
                name=name, const_value=tensor, type=self.ir.TensorType(tensor.dtype), shape=self.ir.Shape(tensor.shape)
            )
            self.graph.register_initializer(self.numbers[given])
        return self.numbers[given]

    def pair(self, kind: str, one: Any, other: Any) -> Any:
        """Return the output of an operation on two values or numbers."""
        return self.node(kind, self.value(one), self.value(other))


def _paired(writer: Writer, name: str, args: Sequence[Any], more: Mapping[str, Any]) -> Any:
    one, other = reversed(args) if name == "rsub" else args
    if more.get("alpha", 1) != 1:
        other = writer.pair("Mul", other, float(more["alpha"]))
    return writer.pair(PAIRED[name], one, other)


def _addcmul(writer: Writer, name: str, args: Sequence[Any], more: Mapping[str, Any]) -> Any:
    """v + c·(a·b)."""
    total, one, other = args
    product, factor = writer.pair("Mul", one, other), more.get("value", 1)
    if factor == -1:
        return writer.pair("Sub", total, product)
    return writer.pair("Add", total, product if factor == 1 else writer.pair("Mul", product, float(factor)))


def _clamp(writer: Writer, name: str, args: Sequence[Any], more: Mapping[str, Any]) -> Any:
    found = args[0]
    bounds = [*args[1:], None, None][:2]
    for kind, bound in zip(("Max", "Min"), (more.get("min", bounds[0]), more.get("max", bounds[1])), strict=True):
        found = found if bound is None else writer.pair(kind, found, float(bound))
    return found


_WRITERS: dict[str, Callable[[Writer, str, Sequence[Any], Mapping[str, Any]], Any]] = {
    **dict.fromkeys(PAIRED, _paired),
    **dict.fromkeys(ALONE, lambda writer, name, args, more: writer.node(ALONE[name], args[0])),
    **dict.fromkeys(SAME, lambda writer, name, args, more: args[0]),
    "_to_copy": lambda writer, name, args, more: writer.node("Cast", args[0], to=1),
    "addcmul": _addcmul,
    "clamp": _clamp,
    "unbind": lambda writer, name, args, more: args[0],
    "<built-in function getitem>": lambda writer, name, args, more: writer.node(
        "Gather", args[0], writer.value((args[1],)), axis=0
    ),
    "full_like": lambda writer, name, args, more: float(args[1]),  # that number, whatever meets it
}


def _name(node: Node) -> str:
    return str(getattr(node.target, "overloadpacket", node.target)).removeprefix("aten.")


def can_write(node: Node) -> bool:
    """Return whether an operation of a traced step is one of those above, on numbers in float32."""
    if node.op != "call_function":
        return node.op in ("placeholder", "output")
    name, types = _name(node), {dtype for each in node.all_input_nodes for dtype in _types(each)}
    if name == "unbind":  # of a constant: the rows of x are not of the graph, which has a step before them
        source = node.args[0]
        return isinstance(source, Node) and source.op == "placeholder" and not source.name.startswith(("x", "v"))
    if name == "_to_copy":
        return types == {torch.bool} and _types(node) == [torch.float32]
    is_right = _types(node) == [torch.bool if name in COMPARED else torch.float32]
    return name in _WRITERS and is_right and types <= {torch.float32}


def _types(node: Node) -> list[Any]:
    found = node.meta["val"]
    return [each.dtype for each in (found if isinstance(found, list | tuple) else [found])]


def _step(writer: Writer, graph: Graph, given: Sequence[Any]) -> tuple[Any, Any]:
    """Return spikes and the membrane after a step, written for these values of x, v and the constants."""
    values = dict(zip((node for node in graph.nodes if node.op == "placeholder"), given, strict=True))
    for node in graph.nodes:
        if node.op == "call_function":
            args = [values.get(each, each) if isinstance(each, Node) else each for each in node.args]
            values[node] = _WRITERS[_name(node)](writer, _name(node), args, node.kwargs)
    (left,) = (node for node in graph.nodes if node.op == "output")
    spikes, membrane = left.args[0]
    return values[spikes], values[membrane]


def write_out(model: Any, written: Mapping[str, Any]) -> None:
    """Replace in place each layer of neurons by the nodes of its steps, as `written` has them by its key."""
    import onnx_ir.passes.common as passes
    from onnx_ir import convenience

    writer = Writer(model.graph)
    for node in [each for each in model.graph if (each.domain, each.op_type) == (DOMAIN, NAME)]:
        writer.nodes = []
        attributes = {name: each.value for name, each in node.attributes.items()}
        spikes, left = _steps(
            writer, node.inputs, written[attributes["key"]], attributes["steps"], attributes["inputs"]
        )
        for old, new in zip(node.outputs, (spikes, left), strict=True):
            new.name, new.type, new.shape = old.name, old.type, old.shape
        convenience.replace_nodes_and_values(
            model.graph, node, [node], writer.nodes, list(node.outputs), [spikes, left]
        )
    model.graph.opset_imports.pop(DOMAIN, None)
    for cleaning in (passes.RemoveUnusedNodesPass(), passes.NameFixPass()):
        cleaning(model)


def _steps(writer: Writer, inputs: Sequence[Any], written: Any, steps: int, given: int) -> tuple[Any, Any]:
    """Return the spikes (T, B, ...) and the membrane (B, ...) after the last step, for inputs x, v and constants."""
    x, v, *constants = inputs if len(inputs) > 1 else (*inputs, None)  # an input that is absent at the end is dropped
    parts = writer.node("Split", x, outputs=steps, axis=0, num_outputs=steps) if given > 1 else [x] * steps
    fired = []
    for part in parts:
        graph = written.first if v is None else written.others
        spikes, v = _step(writer, graph, [part, v, *constants])
        fired.append(spikes)
    whole = writer.node("Concat", *fired, axis=0) if steps > 1 else fired[0]
    return whole, writer.node("Squeeze", v, writer.value((0,)))
