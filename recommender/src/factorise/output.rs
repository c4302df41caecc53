//! Factors on disk.

use ndarray::Array2;
use safetensors::tensor::{Dtype, TensorView};

use super::{Factors, SvdError};

impl Factors {
    /// The factors as safetensors: `u` (rows × rank), `s` (rank) and `v` (columns × rank), `F32`.
    ///
    /// # Errors
    /// The tensors could not be laid out.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, SvdError> {
        let refused = |error: safetensors::SafeTensorError| SvdError::Numerical(error.to_string());
        let wide = |matrix: &Array2<f32>| matrix.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let s: Vec<u8> = self.s.iter().flat_map(|x| x.to_le_bytes()).collect();
        let (u, v) = (wide(&self.u), wide(&self.v));
        let tensors = [
            ("u", vec![self.u.nrows(), self.u.ncols()], &u),
            ("s", vec![self.s.len()], &s),
            ("v", vec![self.v.nrows(), self.v.ncols()], &v),
        ];
        let views = tensors
            .into_iter()
            .map(|(name, shape, data)| Ok((name, TensorView::new(Dtype::F32, shape, data)?)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(refused)?;
        safetensors::serialize(views, None).map_err(refused)
    }
}
