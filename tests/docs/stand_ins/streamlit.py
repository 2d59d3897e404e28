"""What the documents use of Streamlit: what would be drawn is printed."""

dataframe = print
