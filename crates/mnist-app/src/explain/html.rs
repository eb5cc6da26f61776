//! The walk as a page.
use super::Walk;
use crate::model::chosen::ChosenPicture;

pub(crate) fn page(_walk: &Walk, _picture: &ChosenPicture) -> anyhow::Result<String> {
    Ok(String::new())
}
