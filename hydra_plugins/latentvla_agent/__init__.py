"""Makes every agent of `agents/` known to Hydra as `agent=<name>`, in any application of the environment.

Hydra imports this file wherever it starts. The folder above has no `__init__.py`: Hydra's plug-ins share it.
"""

from pathlib import Path
from typing import List, Optional

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from latentvla_agent.agent_files import agents_folder, list_agent_files

GROUP = "agent"


class AgentsSource(ConfigSource):
    """The flat folder `agents/` as the group `agent`.

    Not Hydra's config store: that would be merged into an application's own config of the same name. An agent of that
    name in the application's config folder, or in a folder given by --config-dir, hides ours.
    """

    search_path: Optional[ConfigSearchPath] = None  # of the application that is starting

    @staticmethod
    def scheme() -> str:
        """As in latentvla://agents."""
        return "latentvla"

    def available(self) -> bool:
        """Whether the folder is there."""
        return agents_folder().is_dir()

    def is_group(self, config_path: str) -> bool:
        """Whether this is our only group, or what holds it."""
        return config_path.strip("/") in ("", GROUP)

    def is_config(self, config_path: str) -> bool:
        """Whether this is agent/<name>."""
        return self._find_file(config_path) is not None

    def load_config(self, config_path: str) -> ConfigResult:
        """The content of the agent's YAML."""
        path = self._find_file(config_path)
        if path is None:
            raise ConfigLoadError(f"{config_path}: no such agent in {agents_folder()}")
        return ConfigResult(self.provider, self.full_path(), OmegaConf.load(path), header={"package": None})

    def list(self, config_path: str, results_filter: Optional[ObjectType]) -> List[str]:
        """Names of groups and configs below a group."""
        if config_path.strip("/") == GROUP and results_filter != ObjectType.GROUP:
            return [path.stem for path in list_agent_files()]
        return [GROUP] if config_path.strip("/") == "" and results_filter != ObjectType.CONFIG else []

    def _find_file(self, config_path: str) -> Optional[Path]:
        group, _, name = self._normalize_file_name(config_path.strip("/")).partition("/")
        path = agents_folder() / name
        return path if group == GROUP and path.is_file() and not self._is_hidden(Path(group, name)) else None

    def _is_hidden(self, file: Path) -> bool:
        """Whether --config-dir has it too: Hydra would look there after us."""
        entries = [] if self.search_path is None else self.search_path.get_path()
        folders = [str(entry.path) for entry in entries if entry.provider == "command-line"]
        return any(Path(folder.partition("://")[2], file).is_file() for folder in folders)


class AgentsPlugin(SearchPathPlugin):
    """Adds one place to the search path of every application."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add our agents behind what the application brings itself."""
        AgentsSource.search_path = search_path
        search_path.append("latentvla-agent", f"{AgentsSource.scheme()}://agents")
