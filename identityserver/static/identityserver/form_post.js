// Sends the response of OAuth 2.0 Form Post Response Mode §2 on its way; without scripts the button does.
// Called on the prototype: a field of the response may be named "submit".
HTMLFormElement.prototype.submit.call(document.getElementById("form-post"));
