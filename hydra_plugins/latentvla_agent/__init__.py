"""Makes `agent=<name>` work in every Hydra application of this environment, NAVSIM's scripts above all."""

from __future__ import annotations

import yaml
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin

from latentvla_agent.agent_files import list_agent_files

PROVIDER = "latentvla-agent"


class LatentVLASearchPathPlugin(SearchPathPlugin):
    """Adds the group `agent`, one option per file of `agents/`.

    They go into Hydra's own store, which is always searched: it needs no folder called `agent`, and
    `hydra.searchpath=[...]` does not replace it.
    """

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra before it composes a configuration."""
        store = ConfigStore.instance()
        for path in list_agent_files():
            store.store(path.stem, yaml.safe_load(path.read_text()), group="agent", provider=PROVIDER)
