use std::io::{Cursor, Write};

use super::*;

fn market(text: &str) -> Result<Csr, FileError> {
    market::parse(text.as_bytes())
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

fn longs(values: &[i64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// An npz with `indptr`, `indices` and `data` of a 2 × 3 matrix.
fn archive(format: &[u8], starts: &[i64], columns: &[i64], values: &[f64]) -> Cursor<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    for (name, bytes) in [
        ("format.npy", npy(&format!("|S{}", format.len()), "()", format)),
        ("shape.npy", npy("<i8", "(2,)", &longs(&[2, 3]))),
        ("indptr.npy", npy("<i8", &format!("({},)", starts.len()), &longs(starts))),
        ("indices.npy", npy("<i8", &format!("({},)", columns.len()), &longs(columns))),
        ("data.npy", npy("<f8", &format!("({},)", values.len()), &data)),
    ] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap()
}

#[test]
fn a_scipy_matrix_is_read_whatever_the_order_of_its_columns() {
    let expected = Csr::from_triplets(2, 3, [(0, 0, 1.0), (0, 2, 2.0), (1, 1, 3.5)]).unwrap();
    let ordered = npz::parse(archive(b"csr", &[0, 2, 3], &[0, 2, 1], &[1.0, 2.0, 3.5])).unwrap();
    let turned = npz::parse(archive(b"csr", &[0, 3, 4], &[2, 0, 0, 1], &[2.0, 0.5, 0.5, 3.5])).unwrap();
    assert_eq!((ordered, turned), (expected.clone(), expected));
}

#[test]
fn a_broken_npz_is_refused_with_its_member() {
    let refusal = |archive| npz::parse(archive).unwrap_err().to_string();
    let values = [1.0, 2.0, 3.5];
    for (broken, said) in [
        (archive(b"csc", &[0, 2, 3], &[0, 2, 1], &values), "format: `csc`"),
        (archive(b"csr", &[0, 3], &[0, 2, 1], &values), "indptr: 2 numbers for 2 rows"),
        (archive(b"csr", &[0, 2, 9], &[0, 2, 1], &values), "indptr: goes from 0 to 9"),
        (archive(b"csr", &[0, 4, 3], &[0, 2, 1], &values), "indptr: falls at row 1"),
        (archive(b"csr", &[0, 2, 3], &[0, 2, -1], &values), "indices: -1 at 2"),
        (archive(b"csr", &[0, 2, 3], &[0, 3, 1], &values), "row 0, column 3 is outside 2 x 3"),
        (archive(b"csr", &[0, 2, 3], &[0, 2, 1], &values[..2]), "data: 2 values for 3 indices"),
        (archive(b"csr", &[0, 2, 3], &[0, 2, 1], &[1.0, f64::NAN, 1.0]), "column 2 is not finite"),
        (Cursor::new(b"no zip at all".to_vec()), "npz: "),
    ] {
        let error = refusal(broken);
        assert!(error.contains(said), "{error} does not say {said}");
    }
}

#[test]
fn market_coordinates_count_from_one_and_symmetry_fills_in() {
    let general =
        market("%%MatrixMarket matrix coordinate real general\n% made by hand\n2 3 2\n1 3 2.5\n2 1 -1\n");
    assert_eq!(general.unwrap(), Csr::from_triplets(2, 3, [(0, 2, 2.5), (1, 0, -1.0)]).unwrap());
    let pattern = market("%%MatrixMarket matrix coordinate pattern symmetric\n2 2 2\n2 1\n2 2\n").unwrap();
    assert_eq!(pattern, Csr::from_triplets(2, 2, [(0, 1, 1.0), (1, 0, 1.0), (1, 1, 1.0)]).unwrap());
}

#[test]
fn a_broken_market_file_is_refused_with_its_line() {
    let banner = "%%MatrixMarket matrix coordinate real general\n";
    for (text, said) in [
        (String::new(), "line 1: the file is empty"),
        ("1 2 3\n".into(), "line 1: expected `%%MatrixMarket"),
        (banner.replace("coordinate", "array"), "line 1: form `array`"),
        (banner.replace("real", "complex"), "line 1: field `complex`"),
        (format!("{banner}2 x 1\n"), "line 2: `2 x 1` is not"),
        (format!("{banner}2 2 1\n3 1 1.0\n"), "line 3: `3 1 1.0`: the row"),
        (format!("{banner}2 2 1\n1 0 1.0\n"), "line 3: `1 0 1.0`: the column"),
        (format!("{banner}2 2 1\n1 1 inf\n"), "line 3: `1 1 inf`: the value"),
        (format!("{banner}2 2 2\n1 1 1\n"), "line 3: the file ends after 1 of 2"),
        (format!("{banner}2 2 1\n1 1 1\n2 2 1\n"), "line 4: entry 2 of 1"),
        (banner.into(), "line 1: the line `rows columns entries` is missing"),
    ] {
        let error = market(&text).unwrap_err().to_string();
        assert!(error.contains(said), "{error} does not say {said}");
    }
}

#[test]
fn a_name_of_another_form_is_refused() {
    assert!(matches!(read(Path::new("matrix.csv")), Err(FileError::Form(_))));
    assert!(matches!(read(Path::new("/nowhere/matrix.mtx")), Err(FileError::Io { .. })));
}
