"""Makes a copy of the package whose core is compiled: what `compiled.py` has a Python run.

It is a program of its own, run by whatever interpreter the modules are compiled for, which need not
have this project's packages: `compiling.py PACKAGE OUTPUT MODULE...`, modules being paths below the
package. All else in the copy are links to the package.
"""

import os
import shutil
import sys
from pathlib import Path

from mypyc.build import mypycify
from setuptools import setup


def main() -> None:
    """Copy, compile, and take away what that leaves beside the modules."""
    package, output, *modules = sys.argv[1:]
    copy = Path(output) / Path(package).name
    shutil.rmtree(output, ignore_errors=True)
    copy.mkdir(parents=True)
    rooms = {Path(module).parts[0] for module in modules}
    for each in Path(package).iterdir():
        if each.name in rooms:
            ignored = shutil.ignore_patterns("__pycache__", "*.so")
            shutil.copytree(each, copy / each.name, ignore=ignored)
        elif each.name == "__init__.py":
            shutil.copy(each, copy)  # by which the package is this one
        else:
            (copy / each.name).symlink_to(each.resolve())
    os.chdir(output)
    paths = [str(Path(copy.name) / module) for module in modules]
    setup(
        name=copy.name,
        packages=[],
        ext_modules=mypycify(paths, opt_level="3", debug_level="0"),
        script_args=["--quiet", "build_ext", "--inplace"],
    )
    shutil.rmtree("build")


if __name__ == "__main__":
    main()
