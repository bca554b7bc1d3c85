// A kiosk without a keyboard opens /#token=...: what follows # is never sent, logged or passed on.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  history.replaceState(null, "", "/");
  document.getElementById("token").value = given;
  document.getElementById("login").requestSubmit();
} else if (location.pathname === "/login") {
  document.getElementById("wrong").hidden = false;
} else if ((await fetch("/session")).ok) {
  location.replace("/"); // a link on another site led here: the cookie was held back for that one request
}
