"""Prints "<include folder>;<library>" of the installed oneDNN wheels, for CMake."""

import importlib.metadata
import sys


def locate(package: str, ending: str) -> str:
    """The absolute path of the package's file whose name ends so."""
    for file in importlib.metadata.files(package) or ():
        if str(file).endswith(ending):
            return str(file.locate().resolve())
    sys.exit(f"find_onednn.py: the package {package} is not installed for {sys.executable}")


header = locate("onednn-devel-cpu-gomp", "include/dnnl.h")
library = locate("onednn-cpu-gomp", "libdnnl.so.3")
print(header.removesuffix("/dnnl.h") + ";" + library, end="")
