"""The gateways of a simulation: in this process, behind HTTP servers, or processes of their own."""

from acteon.simulation.nodes.embedded import EmbeddedNode
from acteon.simulation.nodes.node import Node, Result
from acteon.simulation.nodes.process import ProcessNode
from acteon.simulation.nodes.served import ServedNode

__all__ = ["EmbeddedNode", "Node", "ProcessNode", "Result", "ServedNode"]
