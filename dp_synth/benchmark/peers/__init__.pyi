"""The public names of peers, each with the module that it comes from."""

from .environments import PEERS as PEERS
from .environments import Environment as Environment
from .environments import Peer as Peer
from .environments import PeerError as PeerError
from .environments import check_name as check_name
from .environments import environment as environment
from .environments import install as install
from .environments import names_peer as names_peer
from .environments import split_name as split_name
from .environments import version_of as version_of
from .run import PeerAnswer as PeerAnswer
from .run import PeerRequest as PeerRequest
from .run import code_of as code_of
from .run import run_peer as run_peer
