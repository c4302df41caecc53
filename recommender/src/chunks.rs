//! A vector in chunks that copies share: a changed copy costs one chunk and a list of pointers, not the whole.

use std::sync::Arc;

use ndarray::{ArrayView1, ArrayView2};

/// Elements of a chunk.
const CHUNK: usize = 1_024;

/// A vector whose clones share all chunks that none of them has changed since.
#[derive(Debug, Clone)]
pub struct Chunks<T> {
    chunks: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Clone> Chunks<T> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element at `index`.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    /// The element at `index`, to be changed; its chunk is copied where another clone shares it.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        Arc::make_mut(self.chunks.get_mut(index / CHUNK)?).get_mut(index % CHUNK)
    }

    /// Adds an element at the end.
    pub fn push(&mut self, value: T) {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::new(Vec::with_capacity(CHUNK)));
        }
        if let Some(last) = self.chunks.last_mut() {
            Arc::make_mut(last).push(value);
            self.len += 1;
        }
    }

    /// The elements in order, as slices that follow each other.
    pub fn slices(&self) -> impl Iterator<Item = &[T]> {
        self.chunks.iter().map(|chunk| chunk.as_slice())
    }

    /// The elements in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slices().flatten()
    }

    /// Indices of elements that may differ from those of `other`: those in chunks that the two do not share.
    pub fn unshared_with<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        let chunks = self.chunks.iter().enumerate();
        let own = chunks.filter(|(index, chunk)| {
            other.chunks.get(*index).is_none_or(|theirs| !Arc::ptr_eq(chunk, theirs))
        });
        own.flat_map(|(index, chunk)| (0..chunk.len()).map(move |place| index * CHUNK + place))
    }
}

impl<T: Clone> FromIterator<T> for Chunks<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut chunks = Self::default();
        values.into_iter().for_each(|value| chunks.push(value));
        chunks
    }
}

/// Rows in a block of [`Rows`].
const BLOCK: usize = 256;

/// Rows of one width, by number; clones share the blocks of rows that none of them has changed since.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    width: usize,
    blocks: Vec<Option<Arc<Vec<f32>>>>,
}

impl Rows {
    /// No rows yet, each of which will have `width` values.
    pub fn new(width: usize) -> Self {
        Self { width, blocks: Vec::new() }
    }

    /// Values of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The row of this number; nothing where none is set, or only zeros.
    pub fn get(&self, row: usize) -> Option<&[f32]> {
        let block = self.blocks.get(row / BLOCK)?.as_ref()?;
        let start = row % BLOCK * self.width;
        block.get(start..start + self.width).filter(|values| values.iter().any(|value| *value != 0.0))
    }

    /// Sets a row to `values`, or clears it; a row of another width than the others is cleared.
    pub fn set(&mut self, row: usize, values: Option<&[f32]>) {
        let values = values.filter(|values| values.len() == self.width);
        if values.is_none() && self.get(row).is_none() {
            return;
        }
        if self.blocks.len() <= row / BLOCK {
            self.blocks.resize(row / BLOCK + 1, None);
        }
        let empty = || Arc::new(vec![0.0; BLOCK * self.width]);
        let block = Arc::make_mut(self.blocks[row / BLOCK].get_or_insert_with(empty));
        let start = row % BLOCK * self.width;
        match values {
            Some(values) => block[start..start + self.width].copy_from_slice(values),
            None => block[start..start + self.width].fill(0.0),
        }
    }

    /// The inner product of every row with `query`, by row; 0 where no row is set. Rows behind the last block are left
    /// out.
    pub fn products(&self, query: &[f32]) -> Vec<f32> {
        let query = ArrayView1::from(query);
        if query.len() != self.width || self.width == 0 {
            return Vec::new();
        }
        let mut products = Vec::with_capacity(self.blocks.len() * BLOCK);
        for block in &self.blocks {
            let rows = block
                .as_ref()
                .and_then(|block| ArrayView2::from_shape((BLOCK, self.width), block.as_slice()).ok());
            match rows {
                Some(rows) => products.extend(rows.dot(&query)),
                None => products.resize(products.len() + BLOCK, 0.0),
            }
        }
        products
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_set_cleared_and_multiplied_without_changing_clones() {
        let mut rows = Rows::new(2);
        rows.set(300, Some(&[1.0, 2.0]));
        let before = rows.clone();
        rows.set(301, Some(&[3.0, 4.0]));
        rows.set(300, None);
        rows.set(302, Some(&[1.0]));
        assert_eq!((before.get(300), before.get(301)), (Some([1.0, 2.0].as_slice()), None));
        assert_eq!((rows.get(300), rows.get(301), rows.get(302)), (None, Some([3.0, 4.0].as_slice()), None));
        let products = rows.products(&[10.0, 1.0]);
        assert_eq!((products.len(), products[0], products[301]), (2 * BLOCK, 0.0, 34.0));
        assert!(rows.products(&[1.0]).is_empty(), "a query of another width");
    }

    #[test]
    fn a_changed_clone_leaves_the_original_and_shares_the_other_chunks() {
        let original: Chunks<usize> = (0..3 * CHUNK + 5).collect();
        let mut changed = original.clone();
        *changed.get_mut(CHUNK + 7).expect("there") = 0;
        changed.push(99);
        assert_eq!(original.iter().copied().collect::<Vec<_>>(), (0..3 * CHUNK + 5).collect::<Vec<_>>());
        assert_eq!((changed.get(CHUNK + 7), changed.get(3 * CHUNK + 5)), (Some(&0), Some(&99)));
        assert_eq!((original.len(), changed.len()), (3 * CHUNK + 5, 3 * CHUNK + 6));
        let differing: Vec<usize> = changed.unshared_with(&original).collect();
        let expected: Vec<usize> = (CHUNK..2 * CHUNK).chain(3 * CHUNK..3 * CHUNK + 6).collect();
        assert_eq!(differing, expected, "two chunks of four");
        assert_eq!(original.get(3 * CHUNK + 5), None);
    }
}
