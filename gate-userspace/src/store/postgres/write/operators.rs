//! Operators' rows.

use super::{Pen, Stop, taken};
use crate::{
    operator::Operator,
    store::{Rejection, sql},
};

impl Pen<'_> {
    pub(super) async fn add_operator(&self, operator: &Operator) -> Result<(), Stop> {
        let done = self
            .run(
                sql::ADD_OPERATOR,
                &[
                    &operator.name.as_str(),
                    &operator.token.0.cast_signed(),
                    &operator.digest.as_bytes().as_slice(),
                    &operator.role.as_str(),
                    &operator.created.0,
                ],
            )
            .await;
        taken(done, Rejection::OperatorTaken)?;
        Ok(())
    }
}
