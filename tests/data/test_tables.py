"""Tables from files: what is read, what is said about it, and what bad files get instead of a traceback."""

import csv
import gzip
import io
import json
import sys

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gipi.data.columns import conform, infer
from gipi.data.tables import open_table, place, read_table
from gipi.errors import DataError, UsageError


@pytest.fixture
def write(tmp_path):
    def written(content: str | bytes, name: str = "table.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


def rows(path, **options):
    return read_table(path, **options)[0].rows()


# --- what is read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sign", "name"), [(",", "t.csv"), (";", "t.csv"), ("\t", "t.tsv"), ("|", "t.txt"), (" ", "t.dat")]
)
def test_separator_is_found(write, sign, name):
    path = write(sign.join("abc") + "\n" + sign.join("123") + "\n" + sign.join("456") + "\n", name)
    frame, _notes = read_table(path)
    assert frame.columns == ["a", "b", "c"]
    assert frame.rows() == [("1", "2", "3"), ("4", "5", "6")]


def test_separator_is_given(write):
    path = write("a:b\n1:2\n")
    assert rows(path, separator=":") == [("1", "2")]
    assert rows(write("a\tb\n1\t2\n"), separator="tab") == [("1", "2")]
    with pytest.raises(UsageError, match="one character"):
        read_table(path, separator="::")


def test_excel_says_its_separator(write):
    frame, _notes = read_table(write("sep=;\na;b\n1;2\n"))
    assert frame.columns == ["a", "b"] and frame.rows() == [("1", "2")]


def test_sentences_with_commas_are_one_column(write):
    assert rows(write("said\nHello, world\nNo\nWell, yes, perhaps\n", "said.txt")) == [
        ("Hello, world",),
        ("No",),
        ("Well, yes, perhaps",),
    ]


def test_semicolons_divide_decimal_commas(write):
    frame, notes = read_table(write("x;y;z\n1,5;2,25;1.000\n3,5;1,395;2.500\n"))
    assert frame.rows() == [("1.5", "2.25", "1000"), ("3.5", "1.395", "2500")]
    assert any("1,5 is 1.5" in note for note in notes)


def test_thousands_stay_where_points_are_decimal(write):
    frame, notes = read_table(write("x;y\n1,395;0.5\n2,000;1.25\n"))
    assert frame["x"].to_list() == ["1,395", "2,000"] and notes == []
    assert conform(frame, {"x": "number"})["x"].to_list() == [1395.0, 2000.0]


def test_quotes(write):
    assert rows(write('a,b\n"x, y","say ""hi"""\n" z ",\n')) == [("x, y", 'say "hi"'), ("z", None)]
    assert rows(write('a,b\n"two\nlines",1\n"x",2\n')) == [("two\nlines", "1"), ("x", "2")]
    assert rows(write('a, b\n1, "x, y"\n')) == [("1", "x, y")]
    frame, notes = read_table(write('a\tb\n5" disk\t1\n"quoted" word\t2\n', "t.tsv"))
    assert frame["a"].to_list() == ['5" disk', '"quoted" word']
    assert any("quotes" in note for note in notes)


def test_space_around_values_and_blank_lines_go(write):
    frame, notes = read_table(write("\n a , b \n 1 ,  x\n\n , \n2,y\n\n"))
    assert frame.columns == ["a", "b"] and frame.rows() == [("1", "x"), ("2", "y")]
    assert any("rows without any value" in note for note in notes)


def test_mac_and_windows_newlines(write):
    assert rows(write("a,b\r1,2\r3,4\r")) == rows(write("a,b\r\n1,2\r\n3,4\r\n")) == [("1", "2"), ("3", "4")]


def test_comments_before_the_table(write):
    frame, notes = read_table(write("# made by hand\n# x\ty\n1\t2\n3\t4\n", "t.tsv"))
    assert frame.columns == ["x", "y"] and frame.height == 2
    assert any("comment" in note for note in notes)
    assert read_table(write("#,name\n1,a\n2,b\n"))[0].columns == ["#", "name"]


KOREAN = "이름,나이\n김철수,31\n이영희,28\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "cp949", "euc_kr", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_encodings(write, encoding):
    frame, notes = read_table(write(KOREAN.encode(encoding)))
    assert frame.columns == ["이름", "나이"] and frame.rows() == [("김철수", "31"), ("이영희", "28")]
    assert bool(notes) == (encoding in ("cp949", "euc_kr"))


def test_latin_letters_are_said(write):
    frame, notes = read_table(write("name,n\nAndré,1\nZoë,2\nÄrger,3\n".encode("latin-1")))
    assert frame["name"].to_list() == ["André", "Zoë", "Ärger"]
    assert any("Latin-1" in note for note in notes)


def test_gzip(write):
    assert rows(write(gzip.compress(b"a,b\n1,2\n", mtime=0), "t.csv.gz")) == [("1", "2")]
    assert rows(write(gzip.compress(b'{"a": 1}\n', mtime=0), "t.jsonl.gz")) == [(1,)]


@pytest.mark.parametrize(
    ("text", "has_names"),
    [
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n", False),
        ("39,State-gov\n50,Private\n", False),
        ("1,2,3\n", False),
        ("p,x\ne,y\np,y\ne,x\n", False),  # categories that all come again
        ("2011-01-01,a\n2011-01-02,b\n", False),
        ("a,b\n1,2\n", True),
        ("name,city\nKim,Seoul\n", True),
        ("country,1990,2000,2010\nKorea,1,2,3\nJapan,4,5,6\n", True),  # years in order
        (",0,1,2\n0,5.5,3.5,1.5\n1,4.5,3.5,2.5\n", True),  # as pandas writes columns without names
        ("age,2020\n31,5\n", True),
    ],
)
def test_first_row_is_names_or_data(write, text, has_names):
    frame, _notes = read_table(write(text))
    count = len(text.strip().split("\n"))
    assert frame.height == count - has_names


def test_no_names_is_said(write):
    frame, notes = read_table(write("1,2.5,x\n2,3.5,y\n"))
    assert frame.columns == ["column_1", "column_2", "column_3"]
    assert "column_1 .. column_3" in notes[0]
    frame, notes = read_table(write(",a\n0,5\n1,6\n"))
    assert frame.columns == ["column_1", "a"] and "column_1" in notes[0]


def test_parquet_keeps_types(tmp_path):
    frame = pl.DataFrame({"a": [1, 2, None], "b": ["x", "y", None], "c": [0.1, 0.2, 0.3]})
    frame.write_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet")[0].equals(frame)
    (tmp_path / "t.parquet").rename(tmp_path / "misnamed.csv")
    assert read_table(tmp_path / "misnamed.csv")[0].equals(frame)


def test_excel(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="writes the Excel files of this test")
    pytest.importorskip("fastexcel", reason="pip install 'gipi[excel]'")
    book = openpyxl.Workbook()
    for row in [
        [],
        ["zip", "x", "n", "when"],
        ["007", 1 / 3, 1, None],
        ["012", 1e-12, 2, None],
        [],
        ["1,395", 2.5, 3, "x"],
    ]:
        book.active.append(row)
    book.create_sheet("more")
    book.save(tmp_path / "t.xlsx")
    frame, notes = read_table(tmp_path / "t.xlsx")
    assert frame["x"].to_list() == [1 / 3, 1e-12, 2.5]  # not rounded
    assert frame["n"].to_list() == [1, 2, 3] and frame["n"].dtype == pl.Int64
    assert frame["zip"].to_list() == ["007", "012", "1,395"]
    assert any("more" in note for note in notes)
    assert place(tmp_path / "t.xlsx")(2) == "line 6 of t.xlsx"  # as the sheet counts


def test_excel_needs_its_package(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    with pytest.raises(DataError, match=r"pip install 'gipi\[excel\]'"):
        read_table(write(b"PK\x03\x04", "t.xlsx"))


def test_json(write):
    records = [{"a": 1, "b": "x", "c": True}, {"a": 2.5, "b": None, "d": [{"e": 1}]}, {"a": None, "b": "z", "c": False}]
    frame, notes = read_table(write(json.dumps(records), "t.json"))
    lines = read_table(write("\n\n".join(map(json.dumps, records)), "t.jsonl"))[0]
    assert frame.equals(lines)
    assert frame.rows() == [(1.0, "x", True), (2.5, None, None), (None, "z", False)]
    assert any("lists" in note and "d" in note for note in notes)
    mixed = read_table(write('[{"a": 1}, {"a": "one"}]', "t.json"))[0]
    assert mixed["a"].to_list() == ["1", "one"]


def test_rows_know_their_lines(write):
    path = write('# by hand\n\na,b\n"two\nlines",1\n\nx,2\n')
    assert read_table(path)[0].height == 2
    assert place(path)(1) == "line 7 of table.csv"
    assert open_table(path).lines.tolist() == [4, 7]


# --- what cannot be read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ("", "t.csv", "empty"),
        ("\n \n", "t.csv", "empty"),
        ("a,b\n", "t.csv", "no rows"),
        ("a,b\n,\n,\n", "t.csv", "no rows"),
        (",,\n,,\n", "t.csv", "no values"),
        ("a,b,a\n1,2,3\n", "t.csv", "line 1: columns 1 and 3 are both called 'a'"),
        ("a,b,c\n1,2,3\n1,2\n", "t.csv", "line 3: 2 cells, but the first line has 3"),
        ("a,b\n\n1,2\n1,2,3\n", "t.csv", "line 4: 3 cells"),
        ('a,b\n"x\ny",2\n"z",2,3\n', "t.csv", "line 4: 3 cells"),
        ("Report of May\na,b\n1,2\n3,4\n", "t.csv", "line 1: 1 cells, while all lines below have 2"),
        ('a,b\n"open,2\n3,4\n5,6,7\n', "t.csv", "line 2: this row cannot be divided"),
        ("x,y\n1,2\nx,y\n3,4\n", "t.csv", "line 3: the names of the columns come again"),
        ("\n<!DOCTYPE html><html></html>", "t.csv", "web page"),
        (b"a,b\n1,\x002\n", "t.csv", "line 2: a null byte"),
        (b"a,b\n\x01\x02\xff\xfe,1\n", "t.csv", "line 2: not text"),
        (("이름,값\n" + "가나다라,1\n" * 9).encode() + b"\xff,2\n", "t.csv", "line 11: a character is broken"),
        (b"\xff\xfea\x00,\x00b", "t.csv", "not utf-16"),
        (b"PK\x03\x04abc", "t.csv", "zip archive"),
        (b"PK\x03\x04abc", "t.xlsx", "cannot be read as Excel"),
        ("not a book", "t.xlsx", "cannot be read as Excel"),
        (b"PAR1broken", "t.parquet", "not a whole Parquet"),
        ("a,b\n1,2\n", "t.parquet", "not a whole Parquet"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], "t.csv.gz", "cut off"),
        ('{"a": 1}\n{"a": \n', "t.jsonl", "line 2: broken JSON"),
        ('{"a": 1}\n[1]\n', "t.jsonl", r"line 2: \[1\] came where a record"),
        ('[{"a": 1}, 5]', "t.json", "record 2: 5 came"),
        ('[{"a": 1}', "t.json", "broken JSON"),
        ("[]", "t.json", "no rows"),
        ('{"a": [1]}', "t.json", "lists"),
        (b'{"a": "\xff"}', "t.json", "line 1: JSON must be UTF-8"),
    ],
)
def test_bad_files_are_named(write, content, name, said):
    path = write(content, name)
    with pytest.raises(DataError, match=said) as caught:
        read_table(path)
    assert name in str(caught.value)


def test_missing_file_and_folder(write, tmp_path):
    write("a\n1\n", "students.csv")
    with pytest.raises(DataError, match=r"Did you mean 'students.csv'"):
        read_table(tmp_path / "student.csv")
    with pytest.raises(DataError, match="no folder"):
        read_table(tmp_path / "nowhere" / "t.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)


# --- real files --------------------------------------------------------------------------------------------------


BAD = {
    "bad.csv": "line 2: 4 cells, but the first line has 3",
    "blanks.csv": [(None, "NA", "N/A", "NONE", "NULL", ".")],
    "date_like_number.csv": [("4.5",)],
    "dummy.csv.gz": [("1", "2", "3")],
    "dummy_col_shuffled_ragged.csv": [("2", "3", "1", "4")],
    "empty.csv": "is empty",
    "mac_newlines.csv": [("1", "2", "3"), ("Once upon\na time", "5", "6")],
    "no_header_row.csv": [("1", "2", "3")],
    "null_byte.csv": "line 2: a null byte",
    "test_empty_columns_long_row.csv": "line 2: 4 cells",
    "test_header_newline.csv": [("d", "e", "f")],
    "test_latin1.csv": [("1", "2", "3"), ("4", "5", "©")],
    "test_locale.csv": [("1.7", "200000000", None)],
    "test_utf8_bom.csv": [("1", "2", "3"), ("4", "5", "ʤ")],
}


@pytest.mark.parametrize("name", BAD)
def test_odd_files_of_others(shared_data, name):
    path = shared_data / "bad_csv" / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    expected = BAD[name]
    if isinstance(expected, str):
        with pytest.raises(DataError, match=expected):
            read_table(path)
    else:
        assert rows(path) == expected


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("adult_train/adult-train.csv", (32561, 15)),
        ("ag_news/ag_news.csv", (5000, 3)),
        ("air_passengers/airline-passengers.csv", (144, 2)),
        ("bike_sharing/day.csv", (731, 16)),
        ("california_housing/housing.csv", (20640, 10)),
        ("iris/iris.csv", (150, 5)),
        ("korean_csv_cp949/02. crime_in_Seoul.csv", (31, 11)),
        ("korsts_train/sts-train.tsv", (5749, 7)),
        ("m4_hourly/Hourly-train.csv", (414, 961)),
        ("nsmc_sample/ratings_train.txt", (20000, 3)),
        ("student_mat/student-mat.uci-semicolon.csv", (395, 33)),
        ("titanic/train.csv", (891, 12)),
        ("wordsim353/wordsim353.tsv", (353, 3)),
    ],
)
def test_real_tables(shared_data, name, shape):
    path = shared_data / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    assert read_table(path)[0].shape == shape


# --- properties --------------------------------------------------------------------------------------------------

cell = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")) | st.sampled_from(' ,;|"\n'), max_size=8
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=st.integers(2, 4).flatmap(lambda wide: st.lists(st.tuples(*[cell] * wide), min_size=1, max_size=6)),
    sign=st.sampled_from(",;\t|"),
    always=st.booleans(),
    is_given=st.booleans(),
)
def test_what_is_written_is_read(tmp_path, table, sign, always, is_given):
    """Any text comes back as it was, but for the spaces around it; only rows without any value go."""
    names = ["alpha", "beta", "gamma", "delta"][: len(table[0])]
    target = io.StringIO()
    writer = csv.writer(
        target, delimiter=sign, lineterminator="\n", quoting=csv.QUOTE_ALL if always else csv.QUOTE_MINIMAL
    )
    writer.writerows([names, *table])
    path = tmp_path / "t.csv"
    path.write_bytes(target.getvalue().encode())
    expected = [tuple(value.strip() or None for value in row) for row in table]
    expected = [row for row in expected if any(row)]
    if not expected:
        with pytest.raises(DataError):
            read_table(path)
        return
    frame = open_table(path, sign if is_given else None).frame
    assert frame.columns == names
    assert frame.rows() == expected


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text('ab1.,;|\t "\n\r#?-', max_size=60).map(str.encode))
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_any_bytes_give_a_table_or_a_clear_error(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    try:
        frame, notes = read_table(path)
        kinds, more = infer(frame, where=place(path))
        conform(frame, kinds, where=place(path))
    except DataError as problem:
        assert str(problem)
    else:
        assert frame.height and frame.width and all(isinstance(note, str) for note in notes + more)
