"""Folders, archives and gzip files give their files; what is dangerous or damaged is refused before it is unpacked."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import zipfile
import zlib
from datetime import date
from pathlib import Path

import pytest
from tests.ingest.opendocument_files import opendocument, row, sheet

from shelfwise.domain.errors import FileRefused
from shelfwise.ingest import Batch, detect, read
from shelfwise.ingest.archives import File, LeftAlone, files

SALES = b"date,sku,units\n2024-05-01,A,3\n2024-05-02,B,4\n"
STOCK = b"sku,on_hand,as_of\nA,7,2024-05-02\n"


def packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def given(tmp_path: Path, name: str, data: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def names(batch: Batch) -> set[str]:
    return {file.file for file in batch.receipt.files}


def test_the_files_of_an_archive_are_read_and_named_by_it(tmp_path: Path) -> None:
    path = given(tmp_path, "exports.zip", packed({"a/b/orders.csv": SALES, "stock.csv": STOCK}))
    batch = read([path])
    assert names(batch) == {"exports.zip/a/b/orders.csv", "exports.zip/stock.csv"}
    assert batch.frames["movements"].height == 2


def test_what_the_system_put_into_an_archive_is_not_looked_at(tmp_path: Path) -> None:
    members = {"o.csv": SALES, "__MACOSX/._o.csv": b"\0", ".DS_Store": b"x", "a/.hidden/o.csv": STOCK, "~$o.xlsx": b"x"}
    batch = read([given(tmp_path, "e.zip", packed(members))])
    assert names(batch) == {"e.zip/o.csv"}
    assert not any("left alone" in note for note in batch.receipt.notes)


def test_what_is_no_table_in_an_archive_is_left_alone_and_named(tmp_path: Path) -> None:
    members = {
        "o.csv": SALES,
        "readme.pdf": b"%PDF-1.7",
        "logo.png": b"\x89PNG\r\n",
        "empty.csv": b"",
        "x.csv": b"p,q\n1,2\n",
    }
    notes = " ".join(read([given(tmp_path, "e.zip", packed(members))]).receipt.notes)
    for name in ("readme.pdf", "logo.png", "empty.csv", "x.csv"):
        assert f"e.zip/{name} was left alone" in notes


def test_an_archive_of_which_nothing_fits_is_refused_by_what_is_in_it(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match=r"e\.zip: holds nothing that fits.*x\.csv.*readme\.pdf"):
        read([given(tmp_path, "e.zip", packed({"x.csv": b"p,q\n1,2\n", "readme.pdf": b"%PDF"}))])
    with pytest.raises(FileRefused, match="no files in it"):
        read([given(tmp_path, "e2.zip", packed({}))])


def test_a_path_inside_an_archive_leads_nowhere(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = given(inner, "e.zip", packed({"../../up.csv": SALES, "/etc/root.csv": STOCK}))
    before = sorted(tmp_path.rglob("*"))
    assert names(read([path])) == {"e.zip/up.csv", "e.zip/etc/root.csv"}
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_table_in_an_archive_is_not_left_out_in_silence(tmp_path: Path) -> None:
    bad = b"date,sku,units\n" + b"2024-05-01,A,x\n" * 50
    with pytest.raises(FileRefused, match=r"e\.zip/bad\.csv, line 2"):
        read([given(tmp_path, "e.zip", packed({"o.csv": SALES, "bad.csv": bad}))])


def test_a_gzip_file_is_read_as_what_it_holds(tmp_path: Path) -> None:
    assert names(read([given(tmp_path, "o.csv.gz", gzip.compress(SALES))])) == {"o.csv"}
    assert names(read([given(tmp_path, "e.zip", packed({"o.csv.gz": gzip.compress(SALES)}))])) == {"e.zip/o.csv"}


def test_an_archive_inside_an_archive_is_left_alone(tmp_path: Path) -> None:
    path = given(tmp_path, "e.zip", packed({"o.csv": SALES, "more.zip": packed({"s.csv": STOCK})}))
    assert (
        "e.zip/more.zip was left alone: is an archive inside an archive; unpack it first" in read([path]).receipt.notes
    )


def test_a_folder_gives_its_own_files_and_names_its_folders(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    (folder / "old").mkdir(parents=True)
    given(folder, "o.csv", SALES)
    given(folder, "s.zip", packed({"s.csv": STOCK}))
    given(folder, ".hidden", b"x")
    batch = read([folder])
    assert names(batch) == {"exports/o.csv", "exports/s.zip/s.csv"}
    assert "exports/old was left alone: is a folder inside the folder; name it by itself" in batch.receipt.notes


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="a folder with no files in it"):
        read([tmp_path])


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    given(tmp_path, "o.csv", SALES)
    os.mkfifo(tmp_path / "pipe")
    assert LeftAlone(f"{tmp_path.name}/pipe", "is not a plain file") in list(files(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_refused_by_name(tmp_path: Path) -> None:
    path = given(tmp_path, "o.csv", SALES)
    path.chmod(0)
    with pytest.raises(FileRefused, match=r"o\.csv: cannot be read \(Permission denied\); check"):
        read([path])
    path.chmod(stat.S_IRUSR)


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = given(tmp_path, "o.csv", SALES)
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        seen = real(descriptor)
        with path.open("ab") as stream:  # the export goes on between two looks
            stream.write(b"2024-05-03,A,1\n")
        return seen

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(FileRefused, match="changed while it was read"):
        list(files(path))


def test_an_archive_with_a_password_is_refused(tmp_path: Path) -> None:
    data = bytearray(packed({"o.csv": SALES}))
    for header, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(header) + offset
        data[at] |= 1
    with pytest.raises(FileRefused, match="protected with a password"):
        read([given(tmp_path, "e.zip", bytes(data))])


def test_an_archive_that_swells_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = given(tmp_path, "bomb.zip", packed({"zeros.csv": b"\0" * (80 << 20)}))
    with pytest.raises(FileRefused, match="more than 200 times as many"):
        read([path])


def test_a_gzip_file_that_swells_is_refused_while_it_is_unpacked(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="more than 200 times as many"):
        read([given(tmp_path, "bomb.gz", gzip.compress(b"\0" * (80 << 20)))])


def test_files_of_an_archive_that_are_packed_once_more_are_bounded_by_their_sum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them is far below the bound, and so is what the archive says of its sizes."""
    monkeypatch.setattr(detect, "LARGEST_TEXT", 1 << 20)
    lines = b"".join(b"2024-05-01,%s,3\n" % os.urandom(6).hex().encode() for _ in range(20_000))
    month = gzip.compress(b"date,sku,units\n" + lines)
    one = given(tmp_path, "one.zip", packed({"1.csv.gz": month}))
    assert read([one]).frames["movements"].height == 20_000
    three = given(tmp_path, "three.zip", packed({f"{n}.csv.gz": month for n in range(3)}))
    assert three.stat().st_size < 1 << 20
    with pytest.raises(FileRefused, match=r"three\.zip: 1,\d+,\d+ bytes unpacked are more than 1,048,576; split it"):
        read([three])


def test_workbooks_in_an_archive_count_by_what_they_unpack_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row("Date", "SKU", "Units"), *(row(date(2024, 5, 1), os.urandom(4).hex(), n) for n in range(1_500))]
    book = opendocument(sheet("Orders", *rows))
    path = given(tmp_path, "e.zip", packed({f"{n}.ods": book for n in range(6)}))
    monkeypatch.setattr(detect, "LARGEST_TEXT", 1 << 20)
    with pytest.raises(FileRefused, match=r"e\.zip: .* bytes unpacked are more than 1,048,576"):
        read([path])


def test_a_member_that_unpacks_to_more_than_it_says_is_refused(tmp_path: Path) -> None:
    """Its checksum is that of the part it admits, which the standard library would not notice."""
    whole = SALES * 1_000
    data = bytearray(packed({"o.csv": whole}))
    said = len(SALES)
    check = zlib.crc32(SALES)
    for header, offset in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        at = data.index(header) + offset
        data[at : at + 4] = struct.pack("<I", check)
        data[at + 8 : at + 12] = struct.pack("<I", said)
    with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
        assert archive.read("o.csv") == SALES
    with pytest.raises(FileRefused, match="damaged"):
        read([given(tmp_path, "e.zip", bytes(data))])


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "e.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("o.csv", os.urandom(50_000))
        first = archive.infolist()[0]
        for number in range(20):
            again = zipfile.ZipInfo(f"o{number}.csv")
            for part in ("header_offset", "CRC", "compress_size", "file_size", "compress_type", "flag_bits"):
                setattr(again, part, getattr(first, part))
            archive.filelist.append(again)
    with pytest.raises(FileRefused, match="damaged"):
        read([tmp_path / "e.zip"])


@pytest.mark.parametrize("cut", [10, 40, 80, 150])
def test_an_archive_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    for name, data in (("e.zip", packed({"o.csv": SALES * 20})), ("o.csv.gz", gzip.compress(SALES * 20))):
        path = given(tmp_path, name, data[: len(data) - cut] if cut < len(data) else data[:12])
        with pytest.raises(FileRefused, match=r"damaged|cut short"):
            read([path])


def test_a_file_is_told_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    assert [f.name for f in files(given(tmp_path, "o.csv", gzip.compress(SALES))) if isinstance(f, File)] == ["o.csv"]
    assert names(read([given(tmp_path, "o.dat", packed({"s": SALES}))])) == {"o.dat/s"}
