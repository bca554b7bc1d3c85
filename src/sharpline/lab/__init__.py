"""Everything that learns. The only part of Sharpline that imports torch (extra ``lab``)."""
