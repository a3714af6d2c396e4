"""Honest programs that use much of what a Python program may use, for `system_calls`."""

from __future__ import annotations

__all__ = ["PACKAGES", "PROGRAMS"]

PACKAGES = ("numpy", "pandas", "scipy", "sortedcontainers")
PROGRAMS = {
    "numpy": """
import numpy as np
a = np.random.default_rng(0).random((300, 300))
assert np.allclose(a @ np.linalg.inv(a), np.eye(300)) and np.linalg.svd(a)[1].size == 300
assert np.sort(a, axis=None)[0] >= 0 and abs(np.fft.fft(a)).shape == a.shape
np.save("a.npy", a)
assert (np.load("a.npy", mmap_mode="r") == a).all()
np.savetxt("a.txt", a[:3])
assert np.loadtxt("a.txt").shape == (3, 300)
big = np.zeros(40_000_000, dtype=np.uint8)
big[::4096] = 1
print("done")
""",
    "pandas": """
import io
import pandas as pd
table = pd.read_csv(io.StringIO("day,key,value\\n2020-01-01,a,1\\n2020-01-02,b,2\\n2020-01-03,a,3"))
table["day"] = pd.to_datetime(table["day"]).dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
assert table.groupby("key")["value"].sum()["a"] == 4
assert len(table.merge(table, on="key")) == 5
table.to_csv("t.csv")
table.to_json("t.json")
assert len(pd.read_csv("t.csv").pivot_table(index="key", values="value")) == 2
assert table.set_index("day")["value"].rolling(2).mean().iloc[-1] == 2.5
print("done")
""",
    "scipy": """
import numpy as np
from scipy import fft, integrate, interpolate, linalg, optimize, signal, sparse, spatial, special
from scipy import stats
from scipy.sparse import csgraph
from scipy.sparse.linalg import spsolve
assert abs(optimize.brentq(lambda x: x * x - 2, 0, 2) - 2**0.5) < 1e-9
assert optimize.linprog([1, 1], bounds=[(1, 2), (1, 2)]).success
assert optimize.minimize(lambda x: (x**2).sum(), np.ones(3)).success
assert abs(integrate.quad(np.sin, 0, np.pi)[0] - 2) < 1e-9
assert spsolve(sparse.eye(50).tocsc(), np.ones(50)).sum() == 50
assert csgraph.shortest_path(sparse.csr_matrix([[0, 1], [1, 0]]))[0, 1] == 1
assert len(spatial.ConvexHull(np.random.default_rng(0).random((30, 2))).vertices) > 2
assert linalg.expm(np.zeros((3, 3))).trace() == 3 and special.gamma(5) == 24
assert fft.dct(np.ones(8)).size == 8 and len(signal.find_peaks([0, 1, 0])[0]) == 1
assert 0 < stats.norm.cdf(0) < 1 and interpolate.interp1d([0, 1], [0, 1])(0.5) == 0.5
print("done")
""",
    "sortedcontainers": """
from sortedcontainers import SortedDict, SortedList, SortedSet
assert list(SortedList([3, 1, 2])) == [1, 2, 3] and list(SortedSet("ba")) == ["a", "b"]
assert SortedDict(b=1, a=2).peekitem(0) == ("a", 2)
print("done")
""",
    "standard library": """
import asyncio, concurrent.futures, ctypes, decimal, mmap, os, pathlib, select, shutil, signal
import socket, sqlite3, tempfile, threading, time, zoneinfo, selectors, locale, subprocess, logging
import multiprocessing.dummy, queue, glob, zipfile, tarfile, gzip, bz2, lzma, resource, fcntl

async def main():
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(asyncio.sleep(0.01) for _ in range(5)))
    await loop.run_in_executor(None, time.sleep, 0.01)
    reader, writer = await asyncio.open_connection(sock=pair[0])
    writer.write(b"x" * 100)
    await writer.drain()
    pair[1].send(b"answer")
    assert await reader.read(6) == b"answer"
    await asyncio.to_thread(time.sleep, 0)

pair = socket.socketpair()
asyncio.run(main())
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    assert sum(pool.map(int, "12345")) == 15
with tempfile.TemporaryDirectory(dir=".") as folder:
    path = pathlib.Path(folder, "a")
    path.write_text("text")
    path.rename(path.with_name("b"))
    shutil.copyfile(f"{folder}/b", f"{folder}/c")
    with zipfile.ZipFile(f"{folder}/z", "w") as z: z.write(f"{folder}/c")
    with tarfile.open(f"{folder}/t", "w") as t: t.add(f"{folder}/c")
    os.link(f"{folder}/b", f"{folder}/d"); os.symlink("b", f"{folder}/e")
    os.readlink(f"{folder}/e"); os.truncate(f"{folder}/b", 2); os.statvfs(folder)
    with open(f"{folder}/b", "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX); fcntl.lockf(file, fcntl.LOCK_EX)
        file.flush(); os.fsync(file.fileno()); os.posix_fallocate(file.fileno(), 0, 100)
        with mmap.mmap(file.fileno(), 0) as mapped: mapped[:2] = b"ab"; mapped.flush()
    glob.glob(f"{folder}/*"); list(os.walk(folder)); os.access(folder, os.W_OK)
with sqlite3.connect("a.db") as base:
    base.execute("create table t (x)"); base.execute("insert into t values (1)")
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause()
signal.raise_signal(signal.SIGALRM); os.kill(os.getpid(), signal.SIGALRM)
signal.pthread_kill(threading.get_ident(), signal.SIGALRM)
r, w = os.pipe(); os.write(w, b"x"); select.select([r], [], [], 1); select.poll().poll(0)
with selectors.DefaultSelector() as s: s.register(r, selectors.EVENT_READ); s.select(1)
os.eventfd(0); os.isatty(0)
resource.getrusage(resource.RUSAGE_SELF); resource.getrlimit(resource.RLIMIT_AS)
os.sched_getaffinity(0); os.cpu_count(); os.uname(); os.times(); os.getrandom(8); os.umask(0o22)
os.sched_yield(); time.process_time(); time.thread_time(); time.sleep(0.001); os.getgroups()
os.sendfile(os.open("copy", os.O_CREAT | os.O_RDWR), os.open("a.db", 0), 0, 10)
print("done")
""",
}
